"""Decide about the authorized amount: reserve it, capture it, release it."""

from datetime import timedelta
from typing import Literal

from domain import text
from domain.order.commands import Authorize, Cancel, Capture, Expire, LineShare, Void
from domain.order.decisions.payouts import settled
from domain.order.decisions.rules import Violations, checked_reason, require_available
from domain.order.decisions.shared_members import shared_members
from domain.order.due import due_at
from domain.order.errors import AmountExceedsCapturableError
from domain.order.event_parts import CapturedLine
from domain.order.events import (
    OrderAuthorizationReleased,
    OrderAuthorized,
    OrderCanceled,
    OrderCaptured,
    OrderEvent,
    OrderExpired,
)
from domain.order.state import Line, OrderState
from domain.order.status import Status
from domain.order.transitions import Verb, require

AUTHORIZATION_LIFETIME = timedelta(days=7)
"""How long an authorization waits for its capture."""


def authorize(command: Authorize, state: OrderState) -> tuple[OrderAuthorized]:
    """Reserve the whole total."""
    reason = checked_reason(command.reason)
    require(Verb.AUTHORIZE, state, command.now)
    amount_minor = state.ledger.total_minor
    return (
        OrderAuthorized(
            amount_minor=amount_minor,
            auth_expires_at=command.now + AUTHORIZATION_LIFETIME,
            reason=reason,
            **shared_members(state, state.ledger.plus(authorized=amount_minor)),
        ),
    )


def capture(command: Capture, state: OrderState) -> tuple[OrderEvent, ...]:
    """Capture the amount asked for; a final capture of less than what is left releases the rest."""
    found = Violations()
    amount_minor = None if command.amount is None else found.amount(command.amount, state.currency, "amount")
    reason = found.optional(text.reason, command.reason, "reason")
    if command.lines is None:
        found.require_none()
    if not found:
        require(Verb.CAPTURE, state, command.now)
    left_minor = state.ledger.capturable_minor
    lines: tuple[CapturedLine, ...] = ()
    if command.lines is not None:
        lines, amount_minor = _line_shares(command.lines, state.lines, found)
    elif amount_minor is None:
        amount_minor = left_minor
    require_available(amount_minor, left_minor, AmountExceedsCapturableError, state)
    after = state.ledger.plus(captured=amount_minor)
    is_all = amount_minor == left_minor
    captured = OrderCaptured(
        amount_minor=amount_minor,
        final=command.final or is_all,
        lines=lines,
        reason=reason,
        **shared_members(state, after),
    )
    if is_all or not command.final:
        return (captured,)
    return (captured, *_released(state._replace(ledger=after), "final_capture", None))


def check_capture(command: Capture) -> None:
    """Check the values of a capture as far as that is possible without its order.

    Raises:
        InvalidCommandError: with every violation.
    """
    found = Violations()
    if command.amount is not None:
        found.amount(command.amount, None, "amount")
    found.optional(text.reason, command.reason, "reason")
    for index, share in enumerate(command.lines or ()):
        found.quantity(share.quantity, "lines", index, "quantity")
    found.require_none()


def void(command: Void, state: OrderState) -> tuple[OrderEvent, ...]:
    """Release what is authorized and not captured; before any capture this cancels the order."""
    reason = checked_reason(command.reason)
    require(Verb.VOID, state, command.now)
    return (_canceled(reason, state),) if state.status is Status.AUTHORIZED else _released(state, "voided", reason)


def cancel(command: Cancel, state: OrderState) -> tuple[OrderCanceled]:
    """Cancel the order and release what is authorized."""
    reason = checked_reason(command.reason)
    require(Verb.CANCEL, state, command.now)
    return (_canceled(reason, state),)


def expire(command: Expire, state: OrderState) -> tuple[OrderEvent, ...]:
    """End an order that is due, or release the rest of a partly captured one; nothing when it is not due.

    Only the timer asks, and it may ask late: an order that was captured a moment before stays as it is.
    """
    due = due_at(state)
    if due is None or command.now < due:
        return ()
    if state.status is Status.PARTIALLY_CAPTURED:
        return _released(state, "expired", None)
    rest_minor = state.ledger.capturable_minor
    after = state.ledger.plus(released=rest_minor)
    return (OrderExpired(due_at=due, released_minor=rest_minor, **shared_members(state, after, Status.EXPIRED)),)


def _canceled(reason: str | None, state: OrderState) -> OrderCanceled:
    rest_minor = state.ledger.capturable_minor
    after = state.ledger.plus(released=rest_minor)
    return OrderCanceled(reason=reason, released_minor=rest_minor, **shared_members(state, after, Status.CANCELED))


def _released(
    state: OrderState, cause: Literal["final_capture", "voided", "expired"], reason: str | None
) -> tuple[OrderEvent, ...]:
    """Release what is left of a partly captured order."""
    rest_minor = state.ledger.capturable_minor
    after = state.ledger.plus(released=rest_minor)
    released = OrderAuthorizationReleased(
        released_minor=rest_minor, cause=cause, reason=reason, **shared_members(state, after)
    )
    return (released, *settled(state, after))


def _line_shares(
    shares: tuple[LineShare, ...], lines: tuple[Line, ...], found: Violations
) -> tuple[tuple[CapturedLine, ...], int]:
    """Return the shares of lines that are captured, and their price together; `found`: what is broken besides.

    Raises:
        InvalidCommandError: a line is unknown or named twice, or less of it is left than is asked for.
    """
    known = {line.line_id: line for line in lines}
    captured: list[CapturedLine] = []
    amount_minor = 0
    if not shares:
        found.add("lines_required", "A capture of lines names at least one.", "lines")
    for index, share in enumerate(shares):
        line = known.pop(share.line_id, None)
        is_quantity = found.quantity(share.quantity, "lines", index, "quantity")
        if line is None:
            found.add("line_unknown", "The order has no such line, or it is named twice.", "lines", index, "line_id")
        elif is_quantity and share.quantity > line.quantity - line.captured_quantity:
            found.add(
                "quantity_exceeds_line", "The quantity is more than is left of the line.", "lines", index, "quantity"
            )
        elif is_quantity:
            captured.append(CapturedLine(line_id=share.line_id, quantity=share.quantity))
            amount_minor += share.quantity * line.unit_price_minor
    found.require_none()
    return tuple(captured), amount_minor
