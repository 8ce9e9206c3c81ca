"""Check the values of a command without its order, which alone knows its lines and its currency."""

from typing import assert_never

from domain import text
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
from domain.order.decisions.lines import check_amendment
from domain.order.decisions.money import check_capture
from domain.order.decisions.payouts import refund_values, settlement_values
from domain.order.decisions.rules import checked_details, checked_new_order, checked_reason, checked_text


def check_values(command: OrderCommand) -> None:  # one case per command, as in `decide`
    """Raise for values that no order would accept; `decide` finds these too, and those that its order does not.

    Raises:
        InvalidCommandError: with every violation.
    """
    match command:
        case CreateOrder():
            checked_new_order(command)
        case AmendLines():
            check_amendment(command)
        case UpdateDetails():
            checked_details(command)
        case AddNote():
            checked_text(text.note, command.note, "note")
        case Capture():
            check_capture(command)
        case Authorize() | Void() | Cancel() | SetStatus():
            checked_reason(command.reason)
        case Refund():
            refund_values(command, None)
        case Settle():
            settlement_values(command, None)
        case Expire():
            pass
        case _:
            assert_never(command)
