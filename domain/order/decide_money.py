"""Decide about the authorized amount: reserve it, take it, release it."""

from datetime import timedelta

from domain.order.commands import Authorize, Cancel, Capture, LineShare, Void
from domain.order.errors import (
    MAX_VIOLATIONS,
    AmountExceedsCapturableError,
    AmountZeroError,
    InvalidCommandError,
    Violation,
)
from domain.order.event_parts import CapturedLine
from domain.order.events import OrderAuthorizationReleased, OrderAuthorized, OrderCanceled, OrderCaptured, OrderEvent
from domain.order.releases import released
from domain.order.rules import checked_amount, checked_reason, quantity_violation
from domain.order.state import Line, OrderState, open_status
from domain.order.status import Status
from domain.order.transitions import Verb, require

AUTHORIZATION_LIFETIME = timedelta(days=7)
"""How long an authorization waits for its capture."""
_AUTHORIZE, _CAPTURE = Verb.AUTHORIZE, Verb.CAPTURE
_AUTHORIZED = Status.AUTHORIZED


def authorize(command: Authorize, state: OrderState) -> tuple[OrderAuthorized]:
    """Reserve the whole total."""
    status = state.status
    require(_AUTHORIZE, state, command.now)
    amount_minor = state.ledger.total_minor
    return (
        OrderAuthorized(
            currency=state.currency.code,
            amount_minor=amount_minor,
            auth_expires_at=command.now + AUTHORIZATION_LIFETIME,
            from_status=status,
            to_status=_AUTHORIZED,
            totals=state.ledger._replace(authorized_minor=amount_minor).totals,
        ),
    )


def capture(command: Capture, state: OrderState) -> tuple[OrderCaptured | OrderAuthorizationReleased, ...]:
    """Take what is asked for; a final capture of less than is left releases the rest."""
    amount_minor = None if command.amount is None else checked_amount(command.amount, state.currency, "amount")
    status = state.status
    require(_CAPTURE, state, command.now)
    ledger = state.ledger
    left_minor = ledger.capturable_minor
    lines: tuple[CapturedLine, ...] = ()
    if command.lines is not None:
        lines, amount_minor = _line_shares(command.lines, state.lines)
    elif amount_minor is None:
        amount_minor = left_minor
    if amount_minor == 0:
        raise AmountZeroError(0, left_minor, state.currency, state.version)
    if amount_minor > left_minor:
        raise AmountExceedsCapturableError(amount_minor, left_minor, state.currency, state.version)
    after = ledger._replace(captured_minor=ledger.captured_minor + amount_minor)
    captured = OrderCaptured(
        currency=state.currency.code,
        amount_minor=amount_minor,
        final=command.final or amount_minor == left_minor,
        lines=lines,
        from_status=status,
        to_status=open_status(after),
        totals=after.totals,
    )
    if not command.final or amount_minor == left_minor:
        return (captured,)
    rest = after._replace(released_minor=after.released_minor + after.capturable_minor)
    return (
        captured,
        OrderAuthorizationReleased(
            currency=state.currency.code,
            released_minor=after.capturable_minor,
            cause="final_capture",
            reason=None,
            from_status=captured.to_status,
            to_status=open_status(rest),
            totals=rest.totals,
        ),
    )


def void(command: Void, state: OrderState) -> tuple[OrderEvent, ...]:
    """Release what is authorized and not captured; before any capture that cancels the order."""
    reason = checked_reason(command.reason)
    require(Verb.VOID, state, command.now)
    if state.status is _AUTHORIZED:
        return (_canceled(reason, state),)
    return released(state, "voided", reason)


def cancel(command: Cancel, state: OrderState) -> tuple[OrderCanceled]:
    """Give the order up and release what is authorized."""
    reason = checked_reason(command.reason)
    require(Verb.CANCEL, state, command.now)
    return (_canceled(reason, state),)


def _canceled(reason: str | None, state: OrderState) -> OrderCanceled:
    ledger = state.ledger
    released_minor = ledger.capturable_minor
    return OrderCanceled(
        currency=state.currency.code,
        reason=reason,
        released_minor=released_minor,
        from_status=state.status,
        to_status=Status.CANCELED,
        totals=ledger._replace(released_minor=ledger.released_minor + released_minor).totals,
    )


def _line_shares(shares: tuple[LineShare, ...], lines: tuple[Line, ...]) -> tuple[tuple[CapturedLine, ...], int]:
    """Return the shares of lines that are captured, and their price together.

    Raises:
        InvalidCommandError: a line is unknown or named twice, or less of it is left than is asked for.
    """
    known = {line.line_id: line for line in lines}
    found: list[Violation] = []
    captured: list[CapturedLine] = []
    amount_minor = 0
    if not shares:
        found.append(Violation(("lines",), "lines_required", "names at least one line"))
    for index, share in enumerate(shares[: len(lines) + 1]):
        line = known.pop(share.line_id, None)
        broken = quantity_violation(("lines", index, "quantity"), share.quantity)
        if line is None:
            broken = Violation(("lines", index, "line_id"), "line_unknown", "is no line of the order, or named twice")
        elif broken is None and share.quantity > line.quantity - line.captured_quantity:
            detail = "is more than is left of the line"
            broken = Violation(("lines", index, "quantity"), "quantity_exceeds_line", detail)
        if broken is None and line is not None:
            captured.append(CapturedLine(line_id=share.line_id, quantity=share.quantity))
            amount_minor += share.quantity * line.unit_price_minor
        elif broken is not None:
            found.append(broken)
    if found:
        raise InvalidCommandError(tuple(found[:MAX_VIOLATIONS]))
    return tuple(captured), amount_minor
