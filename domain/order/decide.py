"""Decide: return the events that a command causes in a state, or raise an `OrderError`. Pure; one function per command.

Whatever is accepted here can be encoded, folded, rendered and published: there is no other check behind it. The
functions are in `domain.order.decisions`, by what they change.
"""

from datetime import timedelta
from typing import assert_never

from domain.money import amount_text
from domain.order.commands import (
    AddNote,
    AmendLines,
    Authorize,
    Cancel,
    Capture,
    CreateOrder,
    Expire,
    OrderCommand,
    Refund,
    SetStatus,
    Settle,
    UpdateDetails,
    Void,
)
from domain.order.decisions.details import add_note, update_details
from domain.order.decisions.lines import amend
from domain.order.decisions.money import authorize, cancel, capture, expire, void
from domain.order.decisions.payouts import refund, settle
from domain.order.decisions.rules import checked_new_order, checked_reason
from domain.order.errors import OrderExistsError, OrderNotFoundError
from domain.order.event_parts import ClearPersonal
from domain.order.events import OrderCreated, OrderEvent
from domain.order.ledger import Ledger
from domain.order.state import OrderState
from domain.order.status import Status
from domain.order.transitions import Verb, verb_to

ORDER_LIFETIME = timedelta(days=7)
"""How long a pending order waits for its authorization."""


# One case per command, so that a reader sees all of them at once.
def decide(command: OrderCommand, state: OrderState | None) -> tuple[OrderEvent, ...]:  # noqa: C901, PLR0911, PLR0912
    """Return the events that `command` causes; none when the order is already as asked.

    Raises:
        InvalidCommandError: values break rules.
        WithdrawnCurrencyError: the only broken rule of a new order is that its currency is not active any more.
        OrderNotFoundError: there is no order to change.
        OrderExistsError: there is an order already.
        TransitionError: the order's status, or what is left of its amounts, does not allow it.
        AmountError: the status allows it, the amount does not.
    """
    if isinstance(command, CreateOrder):
        if state is not None:
            raise OrderExistsError("an order of this id exists")
        return create(command)
    if state is None:
        raise OrderNotFoundError("there is no order of this id")
    match command:
        case Authorize():
            return authorize(command, state)
        case Capture():
            return capture(command, state)
        case Cancel():
            return cancel(command, state)
        case SetStatus():
            return set_status(command, state)
        case AmendLines():
            return amend(command, state)
        case UpdateDetails():
            return update_details(command, state)
        case AddNote():
            return add_note(command, state)
        case Void():
            return void(command, state)
        case Refund():
            return refund(command, state)
        case Settle():
            return settle(command, state)
        case Expire():
            return expire(command, state)
        case _:
            assert_never(command)


def create(command: CreateOrder) -> tuple[OrderCreated]:
    """Create an order that waits for its authorization."""
    order = checked_new_order(command)
    return (
        OrderCreated(
            currency=command.currency.code,
            lines=order.lines,
            external_reference=order.external_reference,
            metadata=order.metadata,
            expires_at=command.now + ORDER_LIFETIME,
            personal=ClearPersonal(scheme="clear", customer_email=order.customer_email),
            from_status=None,
            to_status=Status.PENDING,
            totals=Ledger(order.total_minor).totals,
        ),
    )


def set_status(command: SetStatus, state: OrderState) -> tuple[OrderEvent, ...]:
    """Do what leads to the status asked for, for the reason given; nothing when the order already has it."""
    reason = checked_reason(command.reason)
    order_id, now = command.order_id, command.now
    match verb_to(command.status, state, now):
        case None:
            return ()
        case Verb.AUTHORIZE:
            return authorize(Authorize(order_id, now, reason), state)
        case Verb.CAPTURE:
            return capture(Capture(order_id, now, reason=reason), state)
        case Verb.CANCEL:
            return cancel(Cancel(order_id, reason, now), state)
        case Verb.SETTLE:
            rest = amount_text(state.ledger.unsettled_minor, state.currency)
            nothing = amount_text(0, state.currency)
            today = now.date().isoformat()
            return settle(Settle(order_id, rest, nothing, rest, today, None, now, reason), state)
        case verb:
            raise AssertionError(f"no status is set by {verb}")
