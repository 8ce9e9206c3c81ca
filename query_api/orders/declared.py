"""What OpenAPI shows of each route: parameters, headers, answers. Declared here, enforced by the routes themselves.

`RawRoute` never calls these functions; FastAPI reads their signatures. A test holds them to what the routes do.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Header, Path, Query

from domain.order.document import Order
from infra.http import cursors, problems
from infra.http.app import problem_responses
from infra.http.problems import ProblemType
from infra.ids import CANONICAL_UUID
from query_api.orders import responses
from query_api.parameters import DEFAULT_LIMIT, MAX_LIMIT, MAX_REFERENCE
from query_api.problems import CONSISTENCY_TOKEN_INVALID, PROJECTION_LAGGING, READ_MODELS_MISSING

_UUID: Final = f"^{CANONICAL_UUID}$"

ConsistencyToken = Annotated[
    str | None,
    Header(
        description="From the answer of a command: the read waits until it is seen, up to 1 s, else 503.",
        examples=["7.1234"],
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(description="ETags; 304 when the order still has one of them.", examples=['"1"'])
]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows of a page, at most.")]
Cursor = Annotated[
    str | None,
    Query(description="`next_cursor` of the page before, with the same filters.", examples=[cursors.EXAMPLE]),
]
OrderId = Annotated[str, Path(description="Id of the order.", examples=["019a8b5c-0000-7000-8000-000000000000"])]
DeliveryId = Annotated[str, Path(description="Id of the delivery.", examples=["019a8b5c-0000-7000-8000-000000000001"])]
OrderStatus = Literal["pending", "authorized", "partially_captured", "captured", "settled", "canceled", "expired"]
DeliveryStatus = Literal["pending", "delivered", "dead", "discarded"]


def get_order(order_id: OrderId, consistency_token: ConsistencyToken = None, if_none_match: IfNoneMatch = None) -> None:
    """Declare what `GET /orders/{order_id}` takes."""


def list_orders(
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    status: Annotated[OrderStatus | None, Query(description="Only orders in this status now.")] = None,
    created_from: Annotated[datetime | None, Query(description="Created at this instant or later.")] = None,
    created_to: Annotated[datetime | None, Query(description="Created before this instant.")] = None,
    external_reference: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=MAX_REFERENCE,
            description="The partner's own reference, exactly.",
            examples=["PO-2026-0042"],
        ),
    ] = None,
    consistency_token: ConsistencyToken = None,
) -> None:
    """Declare what `GET /orders` takes."""


def timeline(
    order_id: OrderId,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    consistency_token: ConsistencyToken = None,
) -> None:
    """Declare what `GET /orders/{order_id}/timeline` takes."""


def notes(
    order_id: OrderId,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    consistency_token: ConsistencyToken = None,
) -> None:
    """Declare what `GET /orders/{order_id}/notes` takes."""


def list_deliveries(
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    endpoint_id: Annotated[
        str | None,
        Query(
            pattern=_UUID,
            description="Only deliveries to this endpoint.",
            examples=["019a8b5c-0000-7000-8000-000000000002"],
        ),
    ] = None,
    status: Annotated[DeliveryStatus | None, Query(description="Only deliveries in this status now.")] = None,
    consistency_token: ConsistencyToken = None,
) -> None:
    """Declare what `GET /webhook-deliveries` takes."""


def get_delivery(delivery_id: DeliveryId, consistency_token: ConsistencyToken = None) -> None:
    """Declare what `GET /webhook-deliveries/{delivery_id}` takes."""


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


_FRESHNESS: Final = {
    "X-Request-ID": _header("The id of this request, the caller's own if it sent one."),
    "X-Read-Position": _header("Position in the log up to which the answer includes every event."),
    "X-Read-Lag-Ms": _header("How far the read model is behind the log, in milliseconds."),
}
_ONE: Final = {
    **_FRESHNESS,
    "ETag": _header("The version of the order, quoted."),
    "Consistency-Token": _header("Send it back to another replica to see at least this."),
}
_LIST: Final = {**_FRESHNESS, "Link": _header('RFC 8288: rel="next", when there is a next page.')}

_ANY: Final = (
    *problems.EVERY_ROUTE,
    CONSISTENCY_TOKEN_INVALID,
    PROJECTION_LAGGING,
    READ_MODELS_MISSING,
)


def _answers(model: type[object], headers: dict[str, Any], *more: ProblemType) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model, "headers": headers}, **problem_responses(*_ANY, *more)}


ORDER: Final = {
    304: {"description": "The order still has this version.", "headers": _ONE},
    **_answers(Order, _ONE, problems.NOT_FOUND),
}
ORDERS: Final = _answers(responses.OrderPage, _LIST, problems.CURSOR_INVALID)
TIMELINE: Final = _answers(responses.TimelinePage, _LIST, problems.CURSOR_INVALID, problems.NOT_FOUND)
NOTES: Final = _answers(responses.NotePage, _LIST, problems.CURSOR_INVALID, problems.NOT_FOUND)
DELIVERIES: Final = _answers(responses.DeliveryPage, _LIST, problems.CURSOR_INVALID)
DELIVERY: Final = _answers(responses.DeliveryWithAttempts, _FRESHNESS, problems.NOT_FOUND)
