"""What follows when nothing is left to capture: the rest is released, and an order that is all paid out is settled."""

from typing import Literal

from domain.order.events import OrderAuthorizationReleased, OrderEvent, OrderSettled
from domain.order.ledger import Ledger
from domain.order.state import OrderState, open_status
from domain.order.status import Status


def released(state: OrderState, cause: Literal["voided", "expired"], reason: str | None) -> tuple[OrderEvent, ...]:
    """Return the events that release what is left of a partly captured order."""
    ledger = state.ledger
    rest_minor = ledger.capturable_minor
    after = ledger._replace(released_minor=ledger.released_minor + rest_minor)
    return (
        OrderAuthorizationReleased(
            currency=state.currency.code,
            released_minor=rest_minor,
            cause=cause,
            reason=reason,
            from_status=state.status,
            to_status=open_status(after),
            totals=after.totals,
        ),
        *settled(state, after),
    )


def settled(state: OrderState, after: Ledger) -> tuple[OrderSettled, ...]:
    """Return the event that says so if `after` is the ledger of a settled order."""
    status = open_status(after)
    if status is not Status.SETTLED:
        return ()
    return (
        OrderSettled(
            currency=state.currency.code,
            amount_minor=after.settled_minor,
            from_status=status,
            to_status=status,
            totals=after.totals,
        ),
    )
