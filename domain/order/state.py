"""What an order is now: a frozen state, and `evolve`, which gives the next one for each event. Status is derived.

`evolve` trusts nothing: an event must continue its stream, keep currency, partner and mode, keep the ledger's
invariants, and tell the same totals and status that the ledger computes. `decide` never yields one that it refuses.
A state can be kept as JSON beside a read model: a cache, not an event (decision 0032).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, assert_never
from uuid import UUID

import orjson

from domain.instants import instant_text, parse_instant
from domain.money import Currency, currency
from domain.order.envelope import Envelope, RecordedOrderEvent
from domain.order.errors import StaleStateError, UnexpectedEventError
from domain.order.events import (
    ClearPersonal,
    OrderAuthorized,
    OrderCanceled,
    OrderCaptured,
    OrderCreated,
    OrderEvent,
)
from domain.order.ids import OrderId
from domain.order.ledger import Ledger
from domain.order.status import Status

STATE_SHAPE = 1
"""Raise it with every change of what `dump_state` writes."""
_PENDING = Status.PENDING  # an enum's members are slow to look up, and every order is asked for this one


class Line(NamedTuple):
    """One line of an order."""

    line_id: int
    sku: str
    quantity: int
    unit_price_minor: int

    @property
    def total_minor(self) -> int:
        """Give quantity x unit price."""
        return self.quantity * self.unit_price_minor


class OrderState(NamedTuple):
    """An order after its first `version` events. `customer_email` is None when it cannot be read any more."""

    order_id: OrderId
    partner_id: str
    livemode: bool
    version: int
    currency: Currency
    lines: tuple[Line, ...]
    ledger: Ledger
    customer_email: str | None
    external_reference: str | None
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    auth_expires_at: datetime | None = None
    canceled_at: datetime | None = None
    cancel_reason: str | None = None

    @property
    def id(self) -> OrderId:
        """Give the order's id, by the name that the `eventsourcing` library knows."""
        return self.order_id

    @property
    def status(self) -> Status:
        """Derive where the order stands; cancelling is possible only while nothing is captured."""
        if self.canceled_at is not None:
            return Status.CANCELED
        if self.ledger.authorized_minor == 0:
            return _PENDING
        if self.ledger.captured_minor == 0:
            return Status.AUTHORIZED
        return Status.CAPTURED


def evolve(state: OrderState | None, recorded: RecordedOrderEvent) -> OrderState:
    """Give the state after one more event; `state` is None before the first.

    Raises:
        UnexpectedEventError: the event does not continue this stream, or contradicts the ledger.
    """
    event, envelope = recorded.event, recorded.envelope
    if isinstance(event, OrderCreated):
        if state is not None or envelope.sequence != 1:
            raise UnexpectedEventError("an order is created once, as the first event of its stream")
        after = _created(event, envelope)
    else:
        if state is None:
            raise UnexpectedEventError("the first event of an order's stream is order.created")
        _require_continuation(state, event, envelope)
        after = _changed(state, event, envelope)
    _require_agreement(state, event, after)
    return after


def fold(state: OrderState | None, events: Iterable[RecordedOrderEvent]) -> OrderState | None:
    """Give the state after all `events`: the projector signature of the `eventsourcing` library.

    Raises:
        UnexpectedEventError: as `evolve`.
    """
    for recorded in events:
        state = evolve(state, recorded)
    return state


def dump_state(state: OrderState) -> bytes:
    """Give a state as compact JSON; `load_state` gives an equal one."""
    ledger = state.ledger
    return orjson.dumps(
        {
            "shape": STATE_SHAPE,
            "order_id": state.order_id,
            "partner_id": state.partner_id,
            "livemode": state.livemode,
            "version": state.version,
            "currency": state.currency.code,
            "lines": [(line.line_id, line.sku, line.quantity, line.unit_price_minor) for line in state.lines],
            "ledger": (
                ledger.total_minor,
                ledger.authorized_minor,
                ledger.captured_minor,
                ledger.released_minor,
                ledger.refunded_minor,
                ledger.settled_minor,
            ),
            "customer_email": state.customer_email,
            "external_reference": state.external_reference,
            "metadata": state.metadata,
            "created_at": instant_text(state.created_at),
            "updated_at": instant_text(state.updated_at),
            "expires_at": instant_text(state.expires_at),
            "auth_expires_at": _text(state.auth_expires_at),
            "canceled_at": _text(state.canceled_at),
            "cancel_reason": state.cancel_reason,
        }
    )


def load_state(dumped: bytes) -> OrderState:
    """Give the state that `dump_state` wrote.

    Raises:
        StaleStateError: another shape, or not ours: fold the events again.
    """
    try:
        kept = orjson.loads(dumped)
        if kept["shape"] != STATE_SHAPE:
            raise StaleStateError(f"the cached state has shape {kept['shape']}, not {STATE_SHAPE}")
        return OrderState(
            order_id=OrderId(UUID(kept["order_id"])),
            partner_id=kept["partner_id"],
            livemode=kept["livemode"],
            version=kept["version"],
            currency=currency(kept["currency"]),
            lines=tuple(Line(*line) for line in kept["lines"]),
            ledger=Ledger(*kept["ledger"]),
            customer_email=kept["customer_email"],
            external_reference=kept["external_reference"],
            metadata=kept["metadata"],
            created_at=parse_instant(kept["created_at"]),
            updated_at=parse_instant(kept["updated_at"]),
            expires_at=parse_instant(kept["expires_at"]),
            auth_expires_at=_instant(kept["auth_expires_at"]),
            canceled_at=_instant(kept["canceled_at"]),
            cancel_reason=kept["cancel_reason"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StaleStateError(f"the cached state cannot be read: {type(error).__name__}") from None


def _created(event: OrderCreated, envelope: Envelope) -> OrderState:
    lines = tuple([Line(line.line_id, line.sku, line.quantity, line.unit_price_minor) for line in event.lines])
    return OrderState(
        order_id=envelope.order_id,
        partner_id=envelope.partner_id,
        livemode=envelope.livemode,
        version=envelope.sequence,
        currency=currency(event.currency),
        lines=lines,
        ledger=Ledger(sum([line.total_minor for line in lines])),
        customer_email=event.personal.customer_email if isinstance(event.personal, ClearPersonal) else None,
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=envelope.occurred_at,
        updated_at=envelope.occurred_at,
        expires_at=event.expires_at,
    )


def _changed(
    state: OrderState, event: OrderAuthorized | OrderCaptured | OrderCanceled, envelope: Envelope
) -> OrderState:
    ledger = state.ledger
    at = envelope.occurred_at
    match event:
        case OrderAuthorized():
            authorized_minor = ledger.authorized_minor + event.amount_minor
            return state._replace(
                version=envelope.sequence,
                updated_at=at,
                ledger=ledger._replace(authorized_minor=authorized_minor),
                auth_expires_at=event.auth_expires_at,
            )
        case OrderCaptured():
            captured_minor = ledger.captured_minor + event.amount_minor
            return state._replace(
                version=envelope.sequence,
                updated_at=at,
                ledger=ledger._replace(captured_minor=captured_minor),
            )
        case OrderCanceled():
            released_minor = ledger.released_minor + event.released_minor
            return state._replace(
                version=envelope.sequence,
                updated_at=at,
                ledger=ledger._replace(released_minor=released_minor),
                canceled_at=at,
                cancel_reason=event.reason,
            )
        case _:
            assert_never(event)


def _require_continuation(state: OrderState, event: OrderEvent, envelope: Envelope) -> None:
    if envelope.order_id != state.order_id:
        raise UnexpectedEventError("the event belongs to another order")
    if envelope.sequence != state.version + 1:
        raise UnexpectedEventError(f"version {envelope.sequence} does not follow version {state.version}")
    if (envelope.partner_id, envelope.livemode) != (state.partner_id, state.livemode):
        raise UnexpectedEventError("the partner and mode of an order never change")
    if event.currency != state.currency.code:
        raise UnexpectedEventError("the currency of an order never changes")


def _require_agreement(before: OrderState | None, event: OrderEvent, after: OrderState) -> None:
    broken = after.ledger.broken_invariant()
    if broken is not None:
        raise UnexpectedEventError(f"the ledger would break {broken}")
    if not after.ledger.agrees_with(event.totals):
        raise UnexpectedEventError("the totals on the event are not the ledger's")
    if event.from_status != (before.status if before else None) or event.to_status != after.status:
        raise UnexpectedEventError("the statuses on the event are not the ledger's")
    if after.canceled_at is not None and after.ledger.captured_minor:
        raise UnexpectedEventError("an order with a captured amount is not canceled")


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)
