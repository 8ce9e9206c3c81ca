"""What every event on an existing order says: its currency, the statuses it leads from and to, and the totals."""

from typing import TypedDict

from domain.order.event_parts import Totals
from domain.order.ledger import Ledger
from domain.order.state import OrderState, open_status
from domain.order.status import Status


class SharedMembers(TypedDict):
    """The members that all events after `order.created` share."""

    currency: str
    from_status: Status
    to_status: Status
    totals: Totals


def shared_members(state: OrderState, after: Ledger | None = None, to_status: Status | None = None) -> SharedMembers:
    """Return the shared members of an event.

    Args:
        state: the order before the event.
        after: its ledger after the event; None when the event leaves ledger and status alone.
        to_status: the status after the event, where it does not follow from the ledger.
    """
    status = state.status
    if after is None:
        after, to_status = state.ledger, status
    return SharedMembers(
        currency=state.currency.code,
        from_status=status,
        to_status=to_status or open_status(after),
        totals=after.totals,
    )
