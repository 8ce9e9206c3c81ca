"""Decide what time alone changes. The timer asks; an order that is not due, or was captured a moment before, stays."""

from domain.order.commands import Expire
from domain.order.due import due_at
from domain.order.events import OrderEvent, OrderExpired
from domain.order.releases import released
from domain.order.state import OrderState
from domain.order.status import Status


def expire(command: Expire, state: OrderState) -> tuple[OrderEvent, ...]:
    """End an order that is due, or release the rest of a partly captured one; nothing when it is not due."""
    due = due_at(state)
    if due is None or command.now < due:
        return ()
    if state.status is Status.PARTIALLY_CAPTURED:
        return released(state, "expired", None)
    ledger = state.ledger
    released_minor = ledger.capturable_minor
    return (
        OrderExpired(
            currency=state.currency.code,
            due_at=due,
            released_minor=released_minor,
            from_status=state.status,
            to_status=Status.EXPIRED,
            totals=ledger._replace(released_minor=ledger.released_minor + released_minor).totals,
        ),
    )
