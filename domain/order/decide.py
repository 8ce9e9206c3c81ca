"""Decide: a command and the state it meets give the events to append, or an `OrderError`. Pure; one function a command.

Whatever is accepted here can be encoded, folded, rendered and published: this is the only gate.
"""

from datetime import timedelta
from typing import assert_never

from domain.order.commands import Authorize, Cancel, Capture, CreateOrder, OrderCommand, SetStatus
from domain.order.errors import OrderExistsError, OrderNotFoundError
from domain.order.events import (
    ClearPersonal,
    OrderAuthorized,
    OrderCanceled,
    OrderCaptured,
    OrderCreated,
    OrderEvent,
)
from domain.order.ledger import Ledger
from domain.order.rules import checked_new_order, checked_reason
from domain.order.state import OrderState
from domain.order.status import Status
from domain.order.transitions import Verb, require, verb_to

ORDER_LIFETIME = timedelta(days=7)
"""How long a pending order waits for its authorization."""
AUTHORIZATION_LIFETIME = timedelta(days=7)
"""How long an authorization waits for its capture."""


def decide(command: OrderCommand, state: OrderState | None) -> tuple[OrderEvent, ...]:
    """Give the events that `command` causes; none when the order is already as asked.

    Raises:
        InvalidCommandError: values break rules.
        OrderNotFoundError: a verb meets no order. OrderExistsError: a create meets one.
        TransitionError: the order's status does not allow it.
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
        case _:
            assert_never(command)


def create(command: CreateOrder) -> tuple[OrderCreated]:
    """Open an order that waits for its authorization."""
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


def authorize(command: Authorize, state: OrderState) -> tuple[OrderAuthorized]:
    """Reserve the whole total."""
    to_status = require(Verb.AUTHORIZE, state.status, state.version)
    amount_minor = state.ledger.total_minor
    return (
        OrderAuthorized(
            currency=state.currency.code,
            amount_minor=amount_minor,
            auth_expires_at=command.now + AUTHORIZATION_LIFETIME,
            from_status=state.status,
            to_status=to_status,
            totals=state.ledger._replace(authorized_minor=amount_minor).totals,
        ),
    )


def capture(_command: Capture, state: OrderState) -> tuple[OrderCaptured]:
    """Take all that is still capturable."""
    to_status = require(Verb.CAPTURE, state.status, state.version)
    ledger = state.ledger
    amount_minor = ledger.capturable_minor
    return (
        OrderCaptured(
            currency=state.currency.code,
            amount_minor=amount_minor,
            final=True,
            from_status=state.status,
            to_status=to_status,
            totals=ledger._replace(captured_minor=ledger.captured_minor + amount_minor).totals,
        ),
    )


def cancel(command: Cancel, state: OrderState) -> tuple[OrderCanceled]:
    """Give the order up and release what is authorized."""
    reason = checked_reason(command.reason)
    to_status = require(Verb.CANCEL, state.status, state.version)
    ledger = state.ledger
    released_minor = ledger.capturable_minor
    return (
        OrderCanceled(
            currency=state.currency.code,
            reason=reason,
            released_minor=released_minor,
            from_status=state.status,
            to_status=to_status,
            totals=ledger._replace(released_minor=ledger.released_minor + released_minor).totals,
        ),
    )


def set_status(command: SetStatus, state: OrderState) -> tuple[OrderEvent, ...]:
    """Do what leads to the status asked for; nothing when the order has it already."""
    checked_reason(command.reason)
    match verb_to(command.status, state.status, state.version):
        case None:
            return ()
        case Verb.AUTHORIZE:
            return authorize(Authorize(command.order_id, command.now), state)
        case Verb.CAPTURE:
            return capture(Capture(command.order_id, command.now), state)
        case Verb.CANCEL:
            return cancel(Cancel(command.order_id, command.reason, command.now), state)
