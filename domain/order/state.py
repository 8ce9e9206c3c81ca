"""What an order is now: a frozen state, and `evolve`, which returns the next one for each event. Status is derived.

`evolve` trusts nothing: an event must continue its stream, keep currency, partner and mode, keep the ledger's
invariants, and hold the same totals and status that the ledger computes. It accepts every event that `decide` returns.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, assert_never

from domain.errors import MoneyError
from domain.money import Currency, recorded_currency
from domain.order.envelope import Envelope, RecordedOrderEvent
from domain.order.errors import UnexpectedEventError
from domain.order.event_parts import AmendedLine, CapturedLine, ClearPersonal, EventLine, SealedPersonal
from domain.order.events import (
    OrderAmended,
    OrderAuthorizationReleased,
    OrderAuthorized,
    OrderCanceled,
    OrderCaptured,
    OrderCreated,
    OrderDetailsChanged,
    OrderEvent,
    OrderExpired,
    OrderNoteAdded,
    OrderRefunded,
    OrderSettled,
    OrderSettlementRecorded,
)
from domain.order.ids import OrderId
from domain.order.ledger import Ledger
from domain.order.status import Status

# Looking up a member of an enum is slow, and these are compared for every order.
_PENDING, _AUTHORIZED, _CAPTURED = Status.PENDING, Status.AUTHORIZED, Status.CAPTURED
_PARTIALLY_CAPTURED, _SETTLED = Status.PARTIALLY_CAPTURED, Status.SETTLED
_ENDED = frozenset({Status.CANCELED, Status.EXPIRED})


class Line(NamedTuple):
    """One line of an order; `captured_quantity` is how much of it was captured by name."""

    line_id: int
    sku: str
    quantity: int
    unit_price_minor: int
    captured_quantity: int = 0

    @property
    def total_minor(self) -> int:
        """Return quantity x unit price."""
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
    last_line_id: int
    auth_expires_at: datetime | None = None
    canceled_at: datetime | None = None
    cancel_reason: str | None = None
    expired_at: datetime | None = None
    note_count: int = 0

    @property
    def id(self) -> OrderId:
        """Return the order's id, under the name that the `eventsourcing` library knows."""
        return self.order_id

    @property
    def status(self) -> Status:
        """Return the order's status; only an order of which nothing is captured is canceled or expires."""
        if self.canceled_at is not None:
            return Status.CANCELED
        if self.expired_at is not None:
            return Status.EXPIRED
        return open_status(self.ledger)


def open_status(ledger: Ledger) -> Status:
    """Return the status of an order that was neither canceled nor expired."""
    if ledger.authorized_minor == 0:
        return _PENDING
    if ledger.captured_minor == 0:
        return _AUTHORIZED
    if ledger.capturable_minor:
        return _PARTIALLY_CAPTURED
    return _SETTLED if ledger.settled_minor == ledger.captured_minor else _CAPTURED


def evolve(state: OrderState | None, recorded: RecordedOrderEvent) -> OrderState:
    """Return the state after one more event; `state` is None before the first.

    Raises:
        UnexpectedEventError: the event does not continue this stream, or contradicts the ledger.
    """
    event, envelope = recorded.event, recorded.envelope
    if state is None:
        if not isinstance(event, OrderCreated) or envelope.sequence != 1:
            raise UnexpectedEventError("the first event of an order's stream is order.created")
        after = _created(event, envelope)
    else:
        _require_continuation(state, event, envelope)
        after = _changed(state._replace(version=envelope.sequence, updated_at=envelope.occurred_at), event)
    _require_agreement(None if state is None else state.status, event, after)
    return after


def fold(state: OrderState | None, events: Iterable[RecordedOrderEvent]) -> OrderState | None:
    """Return the state after all `events`: the projector signature of the `eventsourcing` library.

    Raises:
        UnexpectedEventError: as `evolve`.
    """
    for recorded in events:
        state = evolve(state, recorded)
    return state


def _created(event: OrderCreated, envelope: Envelope) -> OrderState:
    lines = _lines(event.lines)
    try:
        currency = recorded_currency(event.currency)
    except MoneyError:
        raise UnexpectedEventError("no order was ever priced in such a currency") from None
    return OrderState(
        order_id=envelope.order_id,
        partner_id=envelope.partner_id,
        livemode=envelope.livemode,
        version=envelope.sequence,
        currency=currency,
        lines=lines,
        ledger=Ledger(sum([line.total_minor for line in lines])),
        customer_email=_email(event.personal),
        external_reference=event.external_reference,
        metadata=event.metadata,
        created_at=envelope.occurred_at,
        updated_at=envelope.occurred_at,
        expires_at=event.expires_at,
        last_line_id=len(lines),
    )


# One case per event.
def _changed(state: OrderState, event: OrderEvent) -> OrderState:  # noqa: C901, PLR0911, PLR0912
    """Apply what the event says; `state` has its version and time already."""
    ledger = state.ledger
    match event:
        case OrderAuthorized():
            ledger = ledger.plus(authorized=event.amount_minor)
            return state._replace(ledger=ledger, auth_expires_at=event.auth_expires_at)
        case OrderCaptured():
            lines = _captured(state.lines, event.lines) if event.lines else state.lines
            return state._replace(ledger=ledger.plus(captured=event.amount_minor), lines=lines)
        case OrderCanceled():
            ledger = ledger.plus(released=event.released_minor)
            return state._replace(ledger=ledger, canceled_at=state.updated_at, cancel_reason=event.reason)
        case OrderExpired():
            return state._replace(ledger=ledger.plus(released=event.released_minor), expired_at=state.updated_at)
        case OrderAuthorizationReleased():
            return state._replace(ledger=ledger.plus(released=event.released_minor))
        case OrderRefunded():
            return state._replace(ledger=ledger.plus(refunded=event.amount_minor))
        case OrderSettlementRecorded():
            return state._replace(ledger=ledger.plus(settled=event.gross_minor))
        case OrderSettled():
            return state
        case OrderAmended():
            return _amended(state, event)
        case OrderDetailsChanged():
            return _with_details(state, event)
        case OrderNoteAdded():
            return state._replace(note_count=state.note_count + 1)
        case OrderCreated():
            raise UnexpectedEventError("an order is created once, as the first event of its stream")
        case _:
            assert_never(event)


def _lines(lines: Iterable[EventLine | AmendedLine]) -> tuple[Line, ...]:
    return tuple([Line(line.line_id, line.sku, line.quantity, line.unit_price_minor) for line in lines])


def _email(personal: ClearPersonal | SealedPersonal) -> str | None:
    return personal.customer_email if isinstance(personal, ClearPersonal) else None


def _captured(lines: tuple[Line, ...], shares: Iterable[CapturedLine]) -> tuple[Line, ...]:
    quantities = {share.line_id: share.quantity for share in shares}
    after = tuple(
        line._replace(captured_quantity=line.captured_quantity + quantities.pop(line.line_id, 0)) for line in lines
    )
    if quantities or any(line.captured_quantity > line.quantity for line in after):
        raise UnexpectedEventError("more of a line is captured than was ordered")
    return after


def _amended(state: OrderState, event: OrderAmended) -> OrderState:
    if state.ledger.authorized_minor:
        raise UnexpectedEventError("no line changes once the order was authorized")
    lines = _lines(event.lines)
    return state._replace(
        lines=lines,
        ledger=state.ledger._replace(total_minor=sum([line.total_minor for line in lines])),
        last_line_id=max(state.last_line_id, *(change.line_id for change in event.changes)),
    )


def _with_details(state: OrderState, event: OrderDetailsChanged) -> OrderState:
    if state.external_reference not in {None, event.external_reference}:
        raise UnexpectedEventError("an external reference is given once")
    if event.personal is not None:
        state = state._replace(customer_email=_email(event.personal))
    return state._replace(external_reference=event.external_reference, metadata=event.metadata)


def _require_continuation(state: OrderState, event: OrderEvent, envelope: Envelope) -> None:
    if envelope.order_id != state.order_id:
        raise UnexpectedEventError("the event belongs to another order")
    if envelope.sequence != state.version + 1:
        raise UnexpectedEventError(f"version {envelope.sequence} does not follow version {state.version}")
    if (envelope.partner_id, envelope.livemode) != (state.partner_id, state.livemode):
        raise UnexpectedEventError("the partner and mode of an order never change")
    if event.currency != state.currency.code:
        raise UnexpectedEventError("the currency of an order never changes")


def _require_agreement(status_before: Status | None, event: OrderEvent, after: OrderState) -> None:
    ledger = after.ledger
    broken = ledger.broken_invariant()
    if broken is not None:
        raise UnexpectedEventError(f"the ledger would break {broken}")
    if not ledger.agrees_with(event.totals):
        raise UnexpectedEventError("the totals on the event are not the ledger's")
    if event.from_status != status_before or event.to_status != after.status:
        raise UnexpectedEventError("the statuses on the event are not the ledger's")
    if after.canceled_at is not None or after.expired_at is not None:
        _require_end(status_before, event, after)


def _require_end(status_before: Status | None, event: OrderEvent, after: OrderState) -> None:
    """Check that only details and notes follow the end of an order that is canceled or expired."""
    if after.ledger.captured_minor or after.ledger.capturable_minor:
        raise UnexpectedEventError("an order with a captured or reserved amount is neither canceled nor expired")
    if status_before in _ENDED and not isinstance(event, OrderDetailsChanged | OrderNoteAdded):
        raise UnexpectedEventError("an order ends once, and nothing but details and notes follows")
