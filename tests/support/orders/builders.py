"""Builders of orders: each call returns something valid, and a test names only what matters to it.

`create_order_command` and `order_body` build one request; `recorded_history` and `stored_history` drive an order
through commands and return its stream. Hypothesis strategies: `tests.support.orders.strategies`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypedDict, Unpack
from uuid import UUID

from domain.codec import encode
from domain.money import Currency, currency
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
    Settle,
    UpdateDetails,
    Void,
)
from domain.order.decide import decide
from domain.order.envelope import Actor, Envelope, RecordedOrderEvent
from domain.order.events import OrderEvent
from domain.order.ids import OrderId
from domain.order.state import OrderState, evolve, fold
from infra.clock import new_id

NOW = datetime(2026, 11, 23, 1, 2, 3, 123456, tzinfo=UTC)
EUR = currency("EUR")
_PAID_ON: Final = "2026-11-25"


class EnvelopeFields(TypedDict, total=False):
    """What a test may set on an envelope."""

    event_id: UUID
    order_id: OrderId
    sequence: int
    occurred_at: datetime
    partner_id: str
    livemode: bool
    actor: Actor
    request_id: str
    traceparent: str | None
    correlation_id: str | None
    causation_id: str | None


class CreateOrderFields(TypedDict, total=False):
    """What a test may set on a CreateOrder."""

    order_id: OrderId
    partner_id: str
    livemode: bool
    currency: Currency
    customer_email: str
    lines: tuple[NewLine, ...]
    external_reference: str | None
    metadata: dict[str, str]
    now: datetime


@dataclass(frozen=True, slots=True)
class StoredOrderEvent:
    """One event of a stream as the event store keeps it."""

    type: str
    schema_version: int
    sequence: int
    payload: bytes


def new_order_id() -> OrderId:
    """Return a fresh order id."""
    return OrderId(new_id())


def create_order_command(**overrides: Unpack[CreateOrderFields]) -> CreateOrder:
    """Return a command for an order of two lines over 64.97 EUR by partner acme in test mode."""
    command = CreateOrder(
        order_id=new_order_id(),
        partner_id="acme",
        livemode=False,
        currency=EUR,
        customer_email="buyer@example.com",
        lines=(NewLine("LANTERN-1", 3, 1999), NewLine("HANGER", 1, 500)),
        external_reference=None,
        metadata={},
        now=NOW,
    )
    return replace(command, **overrides)


def order_body(**overrides: object) -> dict[str, object]:
    """Return the JSON body of POST /api/v1/orders for the order of `create_order_command`."""
    return {
        "customer_email": "buyer@example.com",
        "currency": "EUR",
        "lines": [
            {"sku": "LANTERN-1", "quantity": 3, "unit_price": "19.99"},
            {"sku": "HANGER", "quantity": 1, "unit_price": "5.00"},
        ],
    } | overrides


def envelope(**overrides: Unpack[EnvelopeFields]) -> Envelope:
    """Return the envelope of a first event by partner acme in test mode."""
    fields: EnvelopeFields = {
        "event_id": new_id(),
        "order_id": new_order_id(),
        "sequence": 1,
        "occurred_at": NOW,
        "partner_id": "acme",
        "livemode": False,
        "actor": Actor(type="api_key", id="acme", key_id="k3y00001"),
        "request_id": "req-1",
        "traceparent": None,
        "correlation_id": None,
        "causation_id": None,
    }
    return Envelope(**(fields | overrides))


def record_decision(command: OrderCommand, state: OrderState | None) -> tuple[RecordedOrderEvent, ...]:
    """Return the events that `decide` returns, in envelopes that continue the stream of `state`."""
    events = decide(command, state)
    if isinstance(command, CreateOrder):
        partner_id, livemode, version = command.partner_id, command.livemode, 0
    elif state is None:
        raise AssertionError("decide refuses verbs for an order that does not exist")
    else:
        partner_id, livemode, version = state.partner_id, state.livemode, state.version
    return tuple(
        RecordedOrderEvent(
            event,
            envelope(
                order_id=command.order_id,
                sequence=version + offset,
                occurred_at=command.now,
                partner_id=partner_id,
                livemode=livemode,
            ),
        )
        for offset, event in enumerate(events, start=1)
    )


def record_all(commands: Iterable[OrderCommand]) -> tuple[RecordedOrderEvent, ...]:
    """Return the stream that `commands` leave behind."""
    state: OrderState | None = None
    recorded: list[RecordedOrderEvent] = []
    for command in commands:
        for event in record_decision(command, state):
            state = evolve(state, event)
            recorded.append(event)
    return tuple(recorded)


def recorded_history(*verbs: str, **overrides: Unpack[CreateOrderFields]) -> tuple[RecordedOrderEvent, ...]:
    """Return the stream of an order created by `overrides` and driven by `verbs`, as `verb_command` knows them.

    Each verb comes one second after the one before.
    """
    create = create_order_command(**overrides)
    commands: list[OrderCommand] = [create]
    for second, verb in enumerate(verbs, start=1):
        commands.append(verb_command(verb, create.order_id, create.now + timedelta(seconds=second)))
    return record_all(commands)


def stored_history(*verbs: str, **overrides: Unpack[CreateOrderFields]) -> tuple[StoredOrderEvent, ...]:
    """Return the same stream as rows of the event store."""
    return tuple(stored(recorded) for recorded in recorded_history(*verbs, **overrides))


def stored(recorded: RecordedOrderEvent) -> StoredOrderEvent:
    """Return a recorded event as the event store keeps it."""
    event: OrderEvent = recorded.event
    payload = encode(event, recorded.envelope)
    return StoredOrderEvent(event.type, event.schema_version, recorded.envelope.sequence, payload)


def order_state(*verbs: str, **overrides: Unpack[CreateOrderFields]) -> OrderState:
    """Return the state of an order created by `overrides` and driven by `verbs`."""
    state = fold(None, recorded_history(*verbs, **overrides))
    if state is None:
        raise AssertionError("a history starts with order.created")
    return state


_COMMANDS: Final[Mapping[str, Callable[[OrderId, datetime], OrderCommand]]] = {
    "amend": lambda order_id, now: AmendLines(order_id, (AddLine("EXTRA", 1, "3"),), None, now),
    "details": lambda order_id, now: UpdateDetails(order_id, None, None, {"changed": "yes"}, now),
    "note": lambda order_id, now: AddNote(order_id, "call before delivery", "partner", now),
    "note_internal": lambda order_id, now: AddNote(order_id, "margin is thin", "internal", now),
    "authorize": Authorize,
    "capture": Capture,
    "capture_some": lambda order_id, now: Capture(order_id, now, "10", final=False),
    "capture_last": lambda order_id, now: Capture(order_id, now, "10"),  # the rest is released
    "void": lambda order_id, now: Void(order_id, None, now),
    "cancel": lambda order_id, now: Cancel(order_id, None, now),
    "refund": lambda order_id, now: Refund(order_id, None, None, now),
    "refund_some": lambda order_id, now: Refund(order_id, "5", None, now),
    "settle": lambda order_id, now: Settle(order_id, "64.97", "1.30", "63.67", _PAID_ON, None, now),
    "settle_some": lambda order_id, now: Settle(order_id, "10", "1", "9", _PAID_ON, "B-1", now),
    "expire": lambda order_id, now: Expire(order_id, now + timedelta(days=30)),
}
VERBS: Final = tuple(_COMMANDS)


def verb_command(verb: str, order_id: OrderId, now: datetime) -> OrderCommand:
    """Return the command of one of `VERBS`; its amounts fit the order of `create_order_command`, 64.97 EUR."""
    return _COMMANDS[verb](order_id, now)
