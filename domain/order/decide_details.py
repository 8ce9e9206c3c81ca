"""Decide about what stands beside lines and amounts: the buyer's address, the reference, metadata, notes."""

from datetime import datetime
from typing import Literal

from domain import text
from domain.order.commands import AddNote, UpdateDetails
from domain.order.due import status_at
from domain.order.errors import FieldLockedError
from domain.order.event_parts import ClearNote, ClearPersonal
from domain.order.events import OrderDetailsChanged, OrderNoteAdded
from domain.order.rules import CheckedDetails, checked_details, checked_text
from domain.order.state import OrderState
from domain.order.status import Status
from domain.order.transitions import refusal

_Changed = tuple[Literal["customer_email", "external_reference", "metadata"], ...]


def update_details(command: UpdateDetails, state: OrderState) -> tuple[OrderDetailsChanged, ...]:
    """Change what is given and differs; nothing when all is as asked."""
    asked = checked_details(command)
    changed = _changed(asked, state, command.now)
    if not changed:
        return ()
    email = asked.customer_email if "customer_email" in changed else None
    return (
        OrderDetailsChanged(
            currency=state.currency.code,
            changed=changed,
            external_reference=asked.external_reference or state.external_reference,
            metadata=dict(state.metadata if asked.metadata is None else asked.metadata),
            personal=None if email is None else ClearPersonal(scheme="clear", customer_email=email),
            from_status=state.status,
            to_status=state.status,
            totals=state.ledger.totals,
        ),
    )


def add_note(command: AddNote, state: OrderState) -> tuple[OrderNoteAdded]:
    """Keep a note; it changes nothing else."""
    note = checked_text(text.note, command.note, "note")
    return (
        OrderNoteAdded(
            currency=state.currency.code,
            visibility=command.visibility,
            personal=ClearNote(scheme="clear", note=note),
            from_status=state.status,
            to_status=state.status,
            totals=state.ledger.totals,
        ),
    )


def _changed(asked: CheckedDetails, state: OrderState, now: datetime) -> _Changed:
    """Name what differs.

    Raises:
        FieldLockedError: the address after pending, or a reference that the order has already.
    """
    changed: _Changed = ()
    if asked.customer_email is not None and asked.customer_email != state.customer_email:
        if status_at(state, now) is not Status.PENDING:
            raise refusal(FieldLockedError, "customer_email", state, now)
        changed += ("customer_email",)
    if asked.external_reference is not None and asked.external_reference != state.external_reference:
        if state.external_reference is not None:
            raise refusal(FieldLockedError, "external_reference", state, now)
        changed += ("external_reference",)
    if asked.metadata is not None and asked.metadata != state.metadata:
        changed += ("metadata",)
    return changed
