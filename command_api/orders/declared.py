"""What the order routes take and answer, declared for OpenAPI from the same models that do the work.

The functions here are never called: as dependencies they put their headers, path parameters and body into the
document. `RawRoute` says why; a test sends requests to hold what they declare to what the routes do.
"""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Body, Header, Path
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from command_api import errors
from command_api.orders.bodies import CancelBody, CreateOrderBody, NothingBody, SetStatusBody
from command_api.orders.problems import ORDER_PROBLEMS
from domain.order.document import Order
from infra.http import json_body, problems
from infra.http.app import problem_responses
from infra.http.problems import ProblemType

KEY_PATTERN: Final = r'^("[!#-~]{1,255}"|[!#-~]{1,255})$'
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        description=(
            "New for each command, 1-255 visible ASCII characters, bare or in double quotes. A repetition gets the "
            "first answer again, kept for 7 days; another request under the same key is refused (422)."
        ),
        pattern=KEY_PATTERN,
        examples=["0192f0c1-8a3b-7c55-9a53-0f6f3b1f2f10"],
    ),
]
_ETAG: Final = r'^"[1-9][0-9]{0,9}"$'
IfMatch = Annotated[
    str,
    Header(
        alias="If-Match",
        description="the ETag of the version of the order that you have seen: one, strong",
        pattern=_ETAG,
        examples=['"1"'],
    ),
]
IfMatchAtWill = Annotated[
    Annotated[str, Field(pattern=_ETAG)] | SkipJsonSchema[None],  # to leave it out is not to send "null"
    Header(
        alias="If-Match",
        description="the ETag of the version at which alone this is to be done; without it any version will do",
        examples=['"1"'],
    ),
]
RequestId = Annotated[
    str | None,
    Header(
        alias="X-Request-ID",
        description="1-128 of A-Za-z0-9._- to be used as the id of this request; anything else is replaced.",
        examples=["req-7f3a"],
    ),
]
Traceparent = Annotated[
    str | None,
    Header(
        description="W3C Trace Context; kept on the events when valid.",
        examples=["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
    ),
]
_NO_BODY: Final = NothingBody()
_NO_REASON: Final = CancelBody()
OrderIdParameter = Annotated[UUID, Path(description="the order's id, in lower case")]


def new_order(
    body: CreateOrderBody,
    idempotency_key: IdempotencyKey,
    request_id: RequestId = None,
    traceparent: Traceparent = None,
) -> None:
    """Declare what POST /orders takes."""


def verb(
    order_id: OrderIdParameter,
    idempotency_key: IdempotencyKey,
    body: Annotated[NothingBody, Body()] = _NO_BODY,
    if_match: IfMatchAtWill = None,
    request_id: RequestId = None,
    traceparent: Traceparent = None,
) -> None:
    """Declare what a verb without details takes."""


def cancellation(
    order_id: OrderIdParameter,
    idempotency_key: IdempotencyKey,
    body: Annotated[CancelBody, Body()] = _NO_REASON,
    if_match: IfMatchAtWill = None,
    request_id: RequestId = None,
    traceparent: Traceparent = None,
) -> None:
    """Declare what POST /orders/{order_id}/cancel takes."""


def status_change(
    order_id: OrderIdParameter,
    body: SetStatusBody,
    idempotency_key: IdempotencyKey,
    if_match: IfMatchAtWill = None,
    request_id: RequestId = None,
    traceparent: Traceparent = None,
) -> None:
    """Declare what PATCH /orders/{order_id}/status takes."""


def _header(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}, "example": example}


ORDER_HEADERS: Final = {
    "ETag": _header("the order's version", '"1"'),
    "Consistency-Token": _header("give it to the query API to read at or after this change", "7.1234"),
    "Idempotency-Replayed": _header("`true` when this is the recorded answer of an earlier request", "true"),
    "X-Request-ID": _header("the id of this request", "req-7f3a"),
    "RateLimit": _header("requests left, and seconds until there are more", '"partner";r=99;t=0'),
    "RateLimit-Policy": _header("requests allowed, and per how many seconds", '"partner";q=100;w=1'),
}
_LOCATION: Final = {"Location": _header("the order", "/api/v1/orders/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10")}

BODY: Final = json_body.PROBLEMS
_ANY: Final = (
    *problems.EVERY_ROUTE,
    *BODY,
    problems.PARTNER_KEY_REQUIRED,
    errors.IDEMPOTENCY_KEY_REQUIRED,
    errors.IDEMPOTENCY_KEY_INVALID,
    errors.IDEMPOTENCY_KEY_MISMATCH,
    errors.OUTCOME_UNKNOWN,
    errors.QUEUE_FULL,
)
Responses = dict[int | str, dict[str, Any]]

CREATED: Final[Responses] = {
    201: {"model": Order, "description": "The new order.", "headers": ORDER_HEADERS | _LOCATION},
    **problem_responses(*_ANY, errors.DUPLICATE_EXTERNAL_REFERENCE, errors.ORDER_TOO_LARGE),
}


def changed(*kinds: ProblemType) -> Responses:
    """Return what a route that changes an order answers; `kinds` are the refusals that only some of them have."""
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


CHANGED: Final[Responses] = changed()
