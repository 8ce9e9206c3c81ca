"""The responses of the order routes, for OpenAPI: documents, headers and problems."""

from typing import Any, Final

from command_api import errors
from command_api.orders.problems import AMOUNT_PROBLEMS, ORDER_PROBLEMS
from domain.order.document import Order
from infra.http import json_body, problems
from infra.http.openapi.document import problem_responses
from infra.http.problems import ProblemType

Responses = dict[int | str, dict[str, Any]]


def _header(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}, "example": example}


ORDER_HEADERS: Final = {
    "ETag": _header("the order's version", '"1"'),
    "Consistency-Token": _header("send it to the query API to read at or after this change", "7.1234"),
    "Idempotency-Replayed": _header("`true` when this is the recorded response of an earlier request", "true"),
    "X-Request-ID": _header("the id of this request", "req-7f3a"),
    "RateLimit": _header("requests left, and seconds until there are more", '"partner";r=99;t=0'),
    "RateLimit-Policy": _header("requests allowed, and per how many seconds", '"partner";q=100;w=1'),
}
_LOCATION: Final = {"Location": _header("the order", "/api/v1/orders/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10")}
_ANY: Final = (
    *problems.EVERY_ROUTE,
    *json_body.PROBLEMS,
    problems.PARTNER_KEY_REQUIRED,
    errors.IDEMPOTENCY_KEY_REQUIRED,
    errors.IDEMPOTENCY_KEY_INVALID,
    errors.IDEMPOTENCY_KEY_MISMATCH,
    errors.OUTCOME_UNKNOWN,
    errors.QUEUE_FULL,
)


def _changed(*kinds: ProblemType) -> Responses:
    """Return the responses of a route that changes an order; `kinds` are the problems that only some of them have."""
    return {
        200: {"model": Order, "description": "The order afterwards.", "headers": ORDER_HEADERS},
        **problem_responses(
            *_ANY,
            problems.NOT_FOUND,
            *ORDER_PROBLEMS,
            errors.CONCURRENT_MODIFICATION,
            errors.IF_MATCH_MALFORMED,
            errors.PRECONDITION_FAILED,
            *kinds,
        ),
    }


CREATED: Final[Responses] = {
    201: {"model": Order, "description": "The new order.", "headers": ORDER_HEADERS | _LOCATION},
    **problem_responses(*_ANY, errors.DUPLICATE_EXTERNAL_REFERENCE, errors.ORDER_TOO_LARGE),
}
CHANGED: Final = _changed()
EDITED: Final = _changed(errors.PRECONDITION_REQUIRED, errors.DUPLICATE_EXTERNAL_REFERENCE, errors.ORDER_TOO_LARGE)
PAID: Final = _changed(*AMOUNT_PROBLEMS)
