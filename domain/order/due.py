"""When an order's time runs out, and its status from then on, whether or not the timer has written that yet.

The due time is exact (decision 0058): a timer that comes late gives no request more time.
"""

from datetime import datetime

from domain.order.state import OrderState, open_status
from domain.order.status import Status

_PENDING, _AUTHORIZED, _PARTIALLY_CAPTURED = Status.PENDING, Status.AUTHORIZED, Status.PARTIALLY_CAPTURED


def due_at(state: OrderState) -> datetime | None:
    """Return when the order's time runs out; None when time changes nothing any more."""
    return _due_at(state, state.status)


def status_at(state: OrderState, now: datetime) -> Status:
    """Return the order's status at `now`: from its due time on, the one that the timer's events will give it."""
    status = state.status
    due = _due_at(state, status)
    if due is None or now < due:
        return status
    if status is not _PARTIALLY_CAPTURED:
        return Status.EXPIRED
    return open_status(state.ledger.plus(released=state.ledger.capturable_minor))


def _due_at(state: OrderState, status: Status) -> datetime | None:
    if status is _PENDING:
        return state.expires_at
    if status is _AUTHORIZED or status is _PARTIALLY_CAPTURED:
        return state.auth_expires_at
    return None
