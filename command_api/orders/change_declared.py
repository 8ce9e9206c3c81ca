"""What the routes that edit an order or move its money take and answer, declared as `declared` does for the others."""

from typing import Annotated, Final

from fastapi import Body
from fastapi.openapi.models import Example

from command_api import errors
from command_api.orders.change_bodies import AmendmentBody, DetailsBody, NoteBody
from command_api.orders.declared import (
    IdempotencyKey,
    IfMatch,
    IfMatchAtWill,
    OrderIdParameter,
    RequestId,
    Responses,
    Traceparent,
    changed,
)
from command_api.orders.money_bodies import CaptureBody, RefundBody, SettlementBody, VoidBody
from command_api.orders.problems import AMOUNT_PROBLEMS

_ALL: Final = CaptureBody()
_NO_REASON: Final = VoidBody()
_THE_REST: Final = RefundBody()

_CAPTURES: Final = {
    "all": Example(summary="all that is left", value={}),
    "part": Example(summary="a part; another capture may follow", value={"amount": "19.99", "final": False}),
    "lines": Example(
        summary="what some lines cost; the rest is released", value={"lines": [{"line_id": 1, "quantity": 2}]}
    ),
}
_AMENDMENTS: Final = {
    "new list": Example(
        summary="one more line, another quantity",
        value={
            "changes": [
                {"op": "add", "sku": "85123A", "quantity": 2, "unit_price": "19.99"},
                {"op": "set_quantity", "line_id": 1, "quantity": 5},
            ],
            "reason": "two more lanterns",
        },
    ),
    "fewer": Example(summary="a line less", value={"changes": [{"op": "remove", "line_id": 2}]}),
    "cheaper": Example(
        summary="another price", value={"changes": [{"op": "set_price", "line_id": 1, "unit_price": "17.50"}]}
    ),
}


def amendment(
    order_id: OrderIdParameter,
    body: Annotated[AmendmentBody, Body(openapi_examples=_AMENDMENTS)],
    idempotency_key: IdempotencyKey,
    if_match: IfMatch,
    request_id: RequestId = None,
    traceparent: Traceparent = None,
) -> None:
    """Declare what POST /orders/{order_id}/amendments takes."""


def details(
    order_id: OrderIdParameter,
    body: DetailsBody,
    idempotency_key: IdempotencyKey,
    if_match: IfMatch,
    request_id: RequestId = None,
    traceparent: Traceparent = None,
) -> None:
    """Declare what PATCH /orders/{order_id} takes."""


def note(
    order_id: OrderIdParameter,
    body: NoteBody,
    idempotency_key: IdempotencyKey,
    if_match: IfMatchAtWill = None,
    request_id: RequestId = None,
    traceparent: Traceparent = None,
) -> None:
    """Declare what POST /orders/{order_id}/notes takes."""


def capture(
    order_id: OrderIdParameter,
    idempotency_key: IdempotencyKey,
    body: Annotated[CaptureBody, Body(openapi_examples=_CAPTURES)] = _ALL,
    if_match: IfMatchAtWill = None,
    request_id: RequestId = None,
    traceparent: Traceparent = None,
) -> None:
    """Declare what POST /orders/{order_id}/captures takes."""


def void(
    order_id: OrderIdParameter,
    idempotency_key: IdempotencyKey,
    body: Annotated[VoidBody, Body()] = _NO_REASON,
    if_match: IfMatchAtWill = None,
    request_id: RequestId = None,
    traceparent: Traceparent = None,
) -> None:
    """Declare what POST /orders/{order_id}/void takes."""


def refund(
    order_id: OrderIdParameter,
    idempotency_key: IdempotencyKey,
    body: Annotated[RefundBody, Body()] = _THE_REST,
    if_match: IfMatchAtWill = None,
    request_id: RequestId = None,
    traceparent: Traceparent = None,
) -> None:
    """Declare what POST /orders/{order_id}/refunds takes."""


def settlement(
    order_id: OrderIdParameter,
    body: SettlementBody,
    idempotency_key: IdempotencyKey,
    if_match: IfMatchAtWill = None,
    request_id: RequestId = None,
    traceparent: Traceparent = None,
) -> None:
    """Declare what POST /orders/{order_id}/settlements takes."""


EDITED: Final[Responses] = changed(
    errors.PRECONDITION_REQUIRED,
    errors.DUPLICATE_EXTERNAL_REFERENCE,
    errors.ORDER_TOO_LARGE,
)
PAID: Final[Responses] = changed(*AMOUNT_PROBLEMS)
NOTED: Final[Responses] = changed()
