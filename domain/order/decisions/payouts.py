"""Decide about what was captured: refund it to the buyer, or record that it was paid out."""

import re
from datetime import date, timedelta
from typing import NamedTuple

from domain import text
from domain.errors import ValueRefusedError
from domain.money import Currency
from domain.order.commands import Refund, Settle
from domain.order.decisions.rules import Violations, require_available
from domain.order.decisions.shared_members import shared_members
from domain.order.errors import (
    AmountExceedsCapturedError,
    AmountExceedsRefundableError,
    FullyRefundedError,
    NothingToSettleError,
    SettlementMismatchError,
)
from domain.order.events import OrderRefunded, OrderSettled, OrderSettlementRecorded
from domain.order.ledger import Ledger
from domain.order.state import OrderState, open_status
from domain.order.status import Status
from domain.order.transitions import Verb, refusal, require

MAX_DAYS_BEHIND = 3_660
"""The oldest value date of a payout, counted back from the day on which it is recorded: ten years."""
MAX_DAYS_AHEAD = 366
"""The latest one, counted from that day."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class RefundValues(NamedTuple):
    """The values of a refund; `amount_minor` is None for all that is left."""

    amount_minor: int | None
    reason: str | None


class SettlementValues(NamedTuple):
    """The values of a payout, amounts in minor units."""

    gross_minor: int
    fee_minor: int
    net_minor: int
    value_date: date
    batch: str | None
    reason: str | None


def refund(command: Refund, state: OrderState) -> tuple[OrderRefunded]:
    """Refund an amount; the status stays, `refund_status` says how much was refunded."""
    amount_minor, reason = refund_values(command, state.currency)
    require(Verb.REFUND, state, command.now)
    left_minor = state.ledger.refundable_minor
    if left_minor == 0:
        raise refusal(FullyRefundedError, Verb.REFUND, state, command.now)
    if amount_minor is None:
        amount_minor = left_minor
    require_available(amount_minor, left_minor, AmountExceedsRefundableError, state)
    after = state.ledger.plus(refunded=amount_minor)
    return (OrderRefunded(amount_minor=amount_minor, reason=reason, **shared_members(state, after)),)


def settle(command: Settle, state: OrderState) -> tuple[OrderSettlementRecorded | OrderSettled, ...]:
    """Record a payout; the one that pays out the last of a captured order settles it."""
    gross_minor, fee_minor, net_minor, value_date, batch, reason = settlement_values(command, state.currency)
    require(Verb.SETTLE, state, command.now)
    left_minor = state.ledger.unsettled_minor
    if left_minor == 0:
        raise refusal(NothingToSettleError, Verb.SETTLE, state, command.now)
    if gross_minor and gross_minor != fee_minor + net_minor:
        raise SettlementMismatchError(gross_minor, fee_minor + net_minor, state.currency, state.version)
    require_available(gross_minor, left_minor, AmountExceedsCapturedError, state)
    after = state.ledger.plus(settled=gross_minor)
    return (
        OrderSettlementRecorded(
            gross_minor=gross_minor,
            fee_minor=fee_minor,
            net_minor=net_minor,
            value_date=value_date,
            batch=batch,
            reason=reason,
            **shared_members(state, after),
        ),
        *settled(state, after),
    )


def refund_values(command: Refund, currency: Currency | None) -> RefundValues:
    """Return the values of a refund. Without a currency check only the form of the amount.

    Raises:
        InvalidCommandError: with every violation.
    """
    found = Violations()
    amount_minor = None if command.amount is None else found.amount(command.amount, currency, "amount")
    reason = found.optional(text.reason, command.reason, "reason")
    found.require_none()
    return RefundValues(amount_minor, reason)


def settlement_values(command: Settle, currency: Currency | None) -> SettlementValues:
    """Return the values of a payout. Without a currency check only the form of the amounts.

    Raises:
        InvalidCommandError: with every violation.
    """
    found = Violations()
    gross_minor = found.amount(command.gross, currency, "gross")
    fee_minor = found.amount(command.fee, currency, "fee")
    net_minor = found.amount(command.net, currency, "net")
    value_date = today = command.now.date()
    try:
        value_date = _day(command.value_date, today)
    except ValueRefusedError as error:
        found.add(error.code, error.detail, "value_date")
    batch = found.optional(text.batch, command.batch, "batch")
    reason = found.optional(text.reason, command.reason, "reason")
    found.require_none()
    return SettlementValues(gross_minor, fee_minor, net_minor, value_date, batch, reason)


def _day(value: str, today: date) -> date:
    try:
        day = date.fromisoformat(value) if _DAY.fullmatch(value) else None
    except ValueError:
        day = None
    if day is None:
        raise ValueRefusedError("date_malformed", "A date is a day such as 2026-11-25, without a time.")
    if not timedelta(-MAX_DAYS_BEHIND) <= day - today <= timedelta(MAX_DAYS_AHEAD):
        detail = f"The day must be at most {MAX_DAYS_BEHIND:,} days ago and at most {MAX_DAYS_AHEAD} days ahead."
        raise ValueRefusedError("date_out_of_range", detail)
    return day


def settled(state: OrderState, after: Ledger) -> tuple[OrderSettled, ...]:
    """Return the event that marks an order as settled if `after` is the ledger of a settled order."""
    if open_status(after) is not Status.SETTLED:
        return ()
    return (OrderSettled(amount_minor=after.settled_minor, **shared_members(state._replace(ledger=after))),)
