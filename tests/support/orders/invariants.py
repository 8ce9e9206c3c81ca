"""What holds for every order after every event, whatever was asked before. Histories of all kinds check it."""

from dataclasses import dataclass, field
from datetime import datetime

from domain.money import MAX_AMOUNT_MINOR
from domain.order.commands import Expire, OrderCommand, SetStatus
from domain.order.due import due_at, status_at
from domain.order.envelope import RecordedOrderEvent
from domain.order.errors import AmountError, OrderError, TransitionError
from domain.order.events import (
    OrderAmended,
    OrderAuthorizationReleased,
    OrderAuthorized,
    OrderCanceled,
    OrderCaptured,
    OrderCreated,
    OrderEvent,
    OrderExpired,
    OrderRefunded,
    OrderSettlementRecorded,
)
from domain.order.state import OrderState
from domain.order.status import Status
from domain.order.transitions import MATRIX, allowed_transitions


@dataclass(slots=True)
class Sums:
    """A second ledger: total, authorized, captured, released, refunded and settled as the events add up to them."""

    amounts: list[int] = field(default_factory=lambda: [0] * 6)

    def add(self, event: OrderEvent) -> None:
        """Add what an event says."""
        match event:
            case OrderCreated() | OrderAmended():
                self.amounts[0] = sum(line.total_minor for line in event.lines)
            case OrderAuthorized():
                self.amounts[1] += event.amount_minor
            case OrderCaptured():
                self.amounts[2] += event.amount_minor
            case OrderAuthorizationReleased() | OrderCanceled() | OrderExpired():
                self.amounts[3] += event.released_minor
            case OrderRefunded():
                self.amounts[4] += event.amount_minor
            case OrderSettlementRecorded():
                assert event.gross_minor == event.fee_minor + event.net_minor
                self.amounts[5] += event.gross_minor


def check_event(before: OrderState | None, recorded: RecordedOrderEvent, state: OrderState, sums: Sums) -> None:
    """Check an order after an event; `sums` are those up to and including the event."""
    event = recorded.event
    assert [*state.ledger] == sums.amounts, "the ledger is the sum of its events"
    assert state.ledger.broken_invariant() is None
    _check_lines(state)
    assert state.status is _status_by_definition(state)
    assert event.to_status is state.status
    if before is not None:
        _check_step(before, event, state)
        if isinstance(event, OrderAuthorized | OrderCaptured):
            assert recorded.envelope.occurred_at < (before.auth_expires_at or before.expires_at), "time ran out"


def check_command(command: OrderCommand, before: OrderState | None, after: OrderState) -> None:
    """Check what a command did to an order; a refused one did nothing."""
    if before is None:
        return
    if isinstance(command, Expire) and after != before:
        due = due_at(before)
        assert due is not None
        assert due <= command.now
    if isinstance(command, SetStatus):
        # What is paid out of an order whose time ran out settles it only when the timer has released the rest.
        is_in_time = status_at(before, command.now) is before.status
        reachable = is_in_time and command.status in allowed_transitions(before.status)
        assert after.status == (command.status if reachable else before.status)


def check_refusal(refused: OrderError, state: OrderState, now: datetime) -> None:
    """Check that a refusal names the order as it is `now`."""
    if isinstance(refused, TransitionError):
        status = status_at(state, now)
        assert (refused.current_status, refused.current_version) == (status, state.version)
        assert refused.allowed_transitions == allowed_transitions(status)
    if isinstance(refused, AmountError):
        assert refused.current_version == state.version


def _check_lines(state: OrderState) -> None:
    total, authorized, captured, released, refunded, settled = state.ledger
    assert total == sum(line.quantity * line.unit_price_minor for line in state.lines) <= MAX_AMOUNT_MINOR
    assert 1 <= len(state.lines) <= 1000
    assert all(1 <= line.quantity <= 999 and line.captured_quantity <= line.quantity for line in state.lines)
    assert len({line.line_id for line in state.lines}) == len(state.lines)
    assert max(line.line_id for line in state.lines) <= state.last_line_id
    assert authorized in {0, total}
    assert min(captured, released, refunded, settled) >= 0
    assert captured + released <= authorized
    assert max(refunded, settled) <= captured


def _check_step(before: OrderState, event: OrderEvent, state: OrderState) -> None:
    assert event.from_status is before.status
    assert state.version == before.version + 1
    assert (state.order_id, state.partner_id, state.livemode, state.currency) == (*before[:3], before.currency)
    assert before.external_reference in {None, state.external_reference}
    if before.ledger.authorized_minor:
        assert [line[:4] for line in state.lines] == [line[:4] for line in before.lines], "no line changes once A > 0"
    if before.status is not state.status:
        cells = MATRIX[before.status].values()
        assert any(isinstance(cell, tuple) and state.status in cell for cell in cells)


def _status_by_definition(state: OrderState) -> Status:
    ledger = state.ledger
    capturable = ledger.authorized_minor - ledger.captured_minor - ledger.released_minor
    if state.canceled_at or state.expired_at:
        assert (ledger.captured_minor, capturable) == (0, 0)
        return Status.CANCELED if state.canceled_at else Status.EXPIRED
    if ledger.authorized_minor == 0:
        return Status.PENDING
    if ledger.captured_minor == 0:
        return Status.AUTHORIZED
    if capturable > 0:
        return Status.PARTIALLY_CAPTURED
    return Status.SETTLED if ledger.settled_minor == ledger.captured_minor else Status.CAPTURED
