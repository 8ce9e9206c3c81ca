"""What the service responds to the examples in its own documentation: the domain works it out, so nothing drifts.

Every example begins with the order that the example of a new order makes.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson

from command_api.handling.appends import Caller, record
from command_api.orders import bodies, change_bodies, money_bodies
from domain.order.commands import (
    AddNote,
    Authorize,
    Cancel,
    OrderCommand,
    Refund,
    SetStatus,
    Settle,
    UpdateDetails,
    Void,
)
from domain.order.decide import decide
from domain.order.document import render_order
from domain.order.ids import OrderId
from domain.order.state import OrderState, evolve
from domain.order.status import Status
from infra.http.addresses import ORDERS
from infra.http.openapi.response_examples import ResponseExamples
from infra.tenancy import Tenant

Json: TypeAlias = dict[str, Any]

_ORDER: Final = OrderId(UUID("019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"))
_BATCH_KEY: Final = "0192f0c1-8a3b-7c55-9a53-0f6f3b1f2f10"
_TENANT: Final = Tenant("acme", livemode=False)
_CALLER: Final = Caller(_TENANT, "k3y00001", "", b"", ORDERS, "req-7f3a", None)


def response_examples() -> ResponseExamples:
    """Return the responses by operation, and there by the name of the example that was sent; "" if it has none."""
    authorize = Authorize(_ORDER, _minute(1), None)
    captures = {name: _capture(example["value"]) for name, example in money_bodies.CAPTURES.items()}
    amendments = {name: _amendment(example["value"]) for name, example in change_bodies.AMENDMENTS.items()}
    refund, cancel = money_bodies.REFUND, bodies.CANCEL
    payout = Settle(_ORDER, "19.99", "0.60", "19.39", "2026-11-25", None, _minute(3), None)
    details = change_bodies.DETAILS
    changed = UpdateDetails(_ORDER, details["customer_email"], None, details["metadata"], _minute(1))
    created = _order()
    return {
        "create_order": {"": created},
        "create_orders": {"": _batch(created)},
        "authorize_order": {"": _order(authorize)},
        "cancel_order": {"": _order(Cancel(_ORDER, cancel["reason"], _minute(1)))},
        "set_order_status": {"": _order(SetStatus(_ORDER, Status.AUTHORIZED, None, _minute(1)))},
        "amend_order": {name: _order(amendment) for name, amendment in amendments.items()},
        "update_order": {"": _order(changed)},
        "add_order_note": {"": _order(AddNote(_ORDER, "call before delivery", "partner", _minute(1)))},
        "capture_order": {name: _order(authorize, capture) for name, capture in captures.items()},
        "void_order": {"": _order(authorize, Void(_ORDER, None, _minute(2)))},
        "refund_order": {
            "": _order(authorize, captures["all"], Refund(_ORDER, refund["amount"], refund["reason"], _minute(3)))
        },
        "settle_order": {"": _order(authorize, captures["part"], payout)},
    }


def _minute(number: int) -> datetime:
    return datetime(2026, 11, 23, 1, 2, 3, 123456, tzinfo=UTC) + timedelta(minutes=number)


def _capture(example: Any) -> OrderCommand:
    return money_bodies.capture(money_bodies.CaptureBody.model_validate(example), _ORDER, _minute(2))


def _amendment(example: Any) -> OrderCommand:
    return change_bodies.amend_lines(change_bodies.AmendmentBody.model_validate(example), _ORDER, _minute(1))


def _order(*commands: OrderCommand) -> Json:
    """Return the order after these commands."""
    new = bodies.create_order(bodies.CreateOrderBody.model_validate(bodies.NEW_ORDER), _ORDER, _TENANT, _minute(0))
    state = _after(new, None)
    for command in commands:
        state = _after(command, state)
    document: Json = orjson.loads(render_order(state))
    return document


def _after(command: OrderCommand, state: OrderState | None) -> OrderState:
    for event in decide(command, state):
        state = evolve(state, record(event, command, _CALLER, state.version + 1 if state else 1, _ORDER))
    if state is None:
        raise AssertionError("the first command creates the order")
    return state


def _batch(order: Json) -> Json:
    result = {
        "idempotency_key": _BATCH_KEY,
        "status": 201,
        "replayed": False,
        "location": f"https://orders.example.com{ORDERS}/{order['id']}",
        "etag": '"1"',
        "consistency_token": "7.1234",
        "body": order,
    }
    summary = {"orders": 1, "created": 1, "replayed": 0, "refused": 0, "unknown": 0}
    return {"summary": summary, "results": [result]}
