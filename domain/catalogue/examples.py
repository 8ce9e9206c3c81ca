"""One example of every event: two short lives of one order, with fixed ids and times, so that pages never drift."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.codec import encode
from domain.money import currency
from domain.order.commands import Authorize, Cancel, Capture, CreateOrder, NewLine, OrderCommand
from domain.order.decide import decide
from domain.order.envelope import Actor, Envelope, RecordedOrderEvent
from domain.order.events import EVENT_TYPES
from domain.order.ids import OrderId
from domain.order.state import OrderState, evolve

_TIME = datetime(2026, 11, 23, 1, 2, 3, 123456, tzinfo=UTC)
_ID = 0x019AAE3F_7C00_7000_8000_000000000000


def example_events() -> tuple[bytes, ...]:
    """Give one document of every event type, as its exact bytes, in the order of `EVENT_TYPES`."""
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
    authorize = Authorize(order_id, at + timedelta(minutes=1))
    capture = Capture(order_id, at + timedelta(minutes=2))
    cancel = Cancel(order_id, "ordered twice", at + timedelta(minutes=2))
    lives: tuple[tuple[OrderCommand, ...], ...] = ((create, authorize, capture), (create, authorize, cancel))
    documents: dict[str, bytes] = {}
    for life in lives:
        state: OrderState | None = None
        for sequence, command in enumerate(life, start=1):
            for event in decide(command, state):
                envelope = _envelope(order_id, sequence, command.now)
                state = evolve(state, RecordedOrderEvent(event, envelope))
                documents[event.type] = encode(event, envelope)
    return tuple(documents[event.type] for event in EVENT_TYPES)


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
        correlation_id=None,
        causation_id=None,
    )
