"""The responses of the order routes, for OpenAPI: documents, headers and problems."""

from typing import Any, Final

from command_api import errors
from command_api.order_problems import AMOUNT_PROBLEMS, ORDER_PROBLEMS
from domain.order.document import Order
from infra.http import json_body, problems
from infra.http.openapi.document import header, problem_responses
from infra.http.problems import ProblemType

Responses = dict[int | str, dict[str, Any]]


_ALWAYS: Final = ("X-Request-ID", "RateLimit", "RateLimit-Policy")
BATCH_HEADERS: Final = {name: header(name) for name in _ALWAYS}
_HEADERS: Final = {name: header(name) for name in ("ETag", "Consistency-Token", "Idempotency-Replayed", *_ALWAYS)}
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
        200: {"model": Order, "description": "The order afterwards.", "headers": _HEADERS},
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


_LOCATION: Final = header("Location") | {"description": "where the order is read: its address at the query service"}
CREATED: Final[Responses] = {
    201: {"model": Order, "description": "The new order.", "headers": _HEADERS | {"Location": _LOCATION}},
    **problem_responses(*_ANY, errors.DUPLICATE_EXTERNAL_REFERENCE, errors.ORDER_TOO_LARGE),
}
CHANGED: Final = _changed()
EDITED: Final = _changed(errors.PRECONDITION_REQUIRED, errors.DUPLICATE_EXTERNAL_REFERENCE, errors.ORDER_TOO_LARGE)
PAID: Final = _changed(*AMOUNT_PROBLEMS)
