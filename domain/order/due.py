"""When an order's time runs out, and where it stands from then on, whether the timer has written that or not.

The due time is exact (decision 0058): the timer may come late, and no request can make use of that.
"""

from datetime import datetime

from domain.order.state import OrderState, open_status
from domain.order.status import Status

_PENDING, _AUTHORIZED, _PARTIALLY_CAPTURED = Status.PENDING, Status.AUTHORIZED, Status.PARTIALLY_CAPTURED


def due_at(state: OrderState) -> datetime | None:
    """Return when the order's time runs out; None when time changes nothing of it any more."""
    return _due_at(state, state.status)


def status_at(state: OrderState, now: datetime) -> Status:
    """Return where the order stands at `now`: from its due time on as the timer's events will say."""
    status = state.status
    due = _due_at(state, status)
    if due is None or now < due:
        return status
    if status is not _PARTIALLY_CAPTURED:
        return Status.EXPIRED
    ledger = state.ledger
    return open_status(ledger._replace(released_minor=ledger.released_minor + ledger.capturable_minor))


def _due_at(state: OrderState, status: Status) -> datetime | None:
    if status is _PENDING:
        return state.expires_at
    if status is _AUTHORIZED or status is _PARTIALLY_CAPTURED:
        return state.auth_expires_at
    return None
