"""Decide about what is neither a line nor an amount: the buyer's address, the reference, metadata and notes."""

from datetime import datetime
from typing import Literal

from domain import text
from domain.order.commands import AddNote, UpdateDetails
from domain.order.decisions.rules import CheckedDetails, checked_details, checked_text
from domain.order.decisions.shared_members import shared_members
from domain.order.due import status_at
from domain.order.errors import FieldLockedError
from domain.order.event_parts import ClearNote, ClearPersonal
from domain.order.events import OrderDetailsChanged, OrderNoteAdded
from domain.order.state import OrderState
from domain.order.status import Status
from domain.order.transitions import refusal

_Changed = tuple[Literal["customer_email", "external_reference", "metadata"], ...]


def update_details(command: UpdateDetails, state: OrderState) -> tuple[OrderDetailsChanged, ...]:
    """Change what the command names and what differs; nothing when all is as asked."""
    asked = checked_details(command)
    changed = _changed(asked, state, command.now)
    if not changed:
        return ()
    email = asked.customer_email if "customer_email" in changed else None
    return (
        OrderDetailsChanged(
            changed=changed,
            external_reference=asked.external_reference or state.external_reference,
            metadata=dict(state.metadata if asked.metadata is None else asked.metadata),
            personal=None if email is None else ClearPersonal(scheme="clear", customer_email=email),
            **shared_members(state),
        ),
    )


def add_note(command: AddNote, state: OrderState) -> tuple[OrderNoteAdded]:
    """Keep a note; nothing else changes."""
    note = checked_text(text.note, command.note, "note")
    personal = ClearNote(scheme="clear", note=note)
    return (OrderNoteAdded(visibility=command.visibility, personal=personal, **shared_members(state)),)


def _changed(asked: CheckedDetails, state: OrderState, now: datetime) -> _Changed:
    """Return the names of the details that differ.

    Raises:
        FieldLockedError: the address of an order that is not pending, or another reference than the order has.
    """
    changed: _Changed = ()
    if asked.customer_email not in {None, state.customer_email}:
        if status_at(state, now) is not Status.PENDING:
            raise refusal(FieldLockedError, "customer_email", state, now)
        changed += ("customer_email",)
    if asked.external_reference not in {None, state.external_reference}:
        if state.external_reference is not None:
            raise refusal(FieldLockedError, "external_reference", state, now)
        changed += ("external_reference",)
    if asked.metadata is not None and asked.metadata != state.metadata:
        changed += ("metadata",)
    return changed
