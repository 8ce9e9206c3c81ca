"""One example of every event, from short histories of one order with fixed ids and times, so that pages never drift.

The example of a type comes from the first history that has it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from domain.codec import encode
from domain.money import currency
from domain.order.commands import (
    AddLine,
    AddNote,
    AmendLines,
    Authorize,
    Cancel,
    Capture,
    CreateOrder,
    Expire,
    NewLine,
    OrderCommand,
    Refund,
    SetQuantity,
    Settle,
    UpdateDetails,
    Void,
)
from domain.order.decide import decide
from domain.order.envelope import Actor, Envelope, RecordedOrderEvent
from domain.order.events import EVENT_TYPES
from domain.order.ids import OrderId
from domain.order.state import OrderState, evolve

_TIME = datetime(2026, 11, 23, 1, 2, 3, 123456, tzinfo=UTC)
_ID = 0x019AAE3F_7C00_7000_8000_000000000000


class Example(NamedTuple):
    """An event in its envelope, and its order before (None for the first event) and after it."""

    recorded: RecordedOrderEvent
    before: OrderState | None
    after: OrderState


def example_events() -> tuple[bytes, ...]:
    """Return one document of every event type, as its exact bytes, in the order of `EVENT_TYPES`."""
    found = examples()
    return tuple(encode(*found[event.type].recorded) for event in EVENT_TYPES)


def examples() -> dict[str, Example]:
    """Return an example of every event type."""
    at = _TIME
    order_id = OrderId(UUID(int=_ID))
    create = CreateOrder(
        order_id=order_id,
        partner_id="acme",
        livemode=False,
        currency=currency("EUR"),
        customer_email="buyer@example.com",
        lines=(NewLine("LANTERN-1", 3, 1999), NewLine("HANGER", 1, 500)),
        external_reference="PO-2026-0042",
        metadata={"channel": "b2b"},
        now=at,
    )
    found: dict[str, Example] = {}
    for history in _histories(order_id):
        for example in _lived((create, *history)):
            found.setdefault(example.recorded.event.type, example)
    return found


def _histories(order_id: OrderId) -> tuple[tuple[OrderCommand, ...], ...]:
    def after(minutes: int) -> datetime:
        return _TIME + timedelta(minutes=minutes)

    authorize = Authorize(order_id, after(1), "credit checked")
    capture = Capture(order_id, after(2))
    refund = Refund(order_id, "5.00", "one hanger was broken", after(3))
    settle = Settle(order_id, "64.97", "1.30", "63.67", "2026-11-25", "2026-11-25-EUR", after(4))
    changes = (AddLine("LANTERN-2", 2, "24.90"), SetQuantity(2, 3))
    return (
        (authorize, capture, refund, settle),
        (authorize, Cancel(order_id, "ordered twice", after(2))),
        (
            AmendLines(order_id, changes, "two more lanterns", after(1)),
            UpdateDetails(order_id, "purchasing@example.com", None, {"channel": "phone"}, after(2)),
            AddNote(order_id, "call before delivery", "partner", after(3)),
        ),
        (authorize, Capture(order_id, after(2), "19.99", final=False), Void(order_id, "sold out", after(3))),
        (Expire(order_id, after(7 * 24 * 60)),),
    )


def _lived(commands: Iterable[OrderCommand]) -> Iterable[Example]:
    state: OrderState | None = None
    for command in commands:
        for event in decide(command, state):
            sequence = state.version + 1 if state else 1
            recorded = RecordedOrderEvent(event, _envelope(command.order_id, sequence, command.now))
            before, state = state, evolve(state, recorded)
            yield Example(recorded, before, state)


def _envelope(order_id: OrderId, sequence: int, at: datetime) -> Envelope:
    return Envelope(
        event_id=UUID(int=_ID + sequence),
        order_id=order_id,
        sequence=sequence,
        occurred_at=at,
        partner_id="acme",
        livemode=False,
        actor=Actor(type="api_key", id="acme", key_id="k3y00001"),
        request_id=f"req-{sequence}",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        correlation_id=f"req-{sequence}",
        causation_id=None,
    )
