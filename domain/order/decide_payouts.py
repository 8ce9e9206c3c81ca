"""Decide about what was captured: give it back to the buyer, or record that it was paid out."""

from domain import text
from domain.order.commands import Refund, Settle
from domain.order.errors import (
    AmountExceedsCapturedError,
    AmountExceedsRefundableError,
    AmountZeroError,
    FullyRefundedError,
    NothingToSettleError,
    SettlementMismatchError,
)
from domain.order.events import OrderRefunded, OrderSettled, OrderSettlementRecorded
from domain.order.releases import settled
from domain.order.rules import checked_amount, checked_reason, checked_text
from domain.order.state import OrderState, open_status
from domain.order.transitions import Verb, refusal, require


def refund(command: Refund, state: OrderState) -> tuple[OrderRefunded]:
    """Give back an amount; the status stays, `refund_status` tells."""
    reason = checked_reason(command.reason)
    amount_minor = None if command.amount is None else checked_amount(command.amount, state.currency, "amount")
    status, ledger = state.status, state.ledger
    require(Verb.REFUND, state, command.now)
    left_minor = ledger.refundable_minor
    if left_minor == 0:
        raise refusal(FullyRefundedError, Verb.REFUND, state, command.now)
    if amount_minor is None:
        amount_minor = left_minor
    if amount_minor == 0:
        raise AmountZeroError(0, left_minor, state.currency, state.version)
    if amount_minor > left_minor:
        raise AmountExceedsRefundableError(amount_minor, left_minor, state.currency, state.version)
    return (
        OrderRefunded(
            currency=state.currency.code,
            amount_minor=amount_minor,
            reason=reason,
            from_status=status,
            to_status=status,
            totals=ledger._replace(refunded_minor=ledger.refunded_minor + amount_minor).totals,
        ),
    )


def settle(command: Settle, state: OrderState) -> tuple[OrderSettlementRecorded | OrderSettled, ...]:
    """Record a payout; the one that completes the captured amount of a captured order settles it."""
    gross_minor = checked_amount(command.gross, state.currency, "gross")
    fee_minor = checked_amount(command.fee, state.currency, "fee")
    net_minor = checked_amount(command.net, state.currency, "net")
    batch = None if command.batch is None else checked_text(text.batch, command.batch, "batch")
    status, ledger = state.status, state.ledger
    require(Verb.SETTLE, state, command.now)
    left_minor = ledger.unsettled_minor
    if left_minor == 0:
        raise refusal(NothingToSettleError, Verb.SETTLE, state, command.now)
    if gross_minor == 0:
        raise AmountZeroError(0, left_minor, state.currency, state.version)
    if gross_minor != fee_minor + net_minor:
        raise SettlementMismatchError(gross_minor, fee_minor + net_minor, state.currency, state.version)
    if gross_minor > left_minor:
        raise AmountExceedsCapturedError(gross_minor, left_minor, state.currency, state.version)
    after = ledger._replace(settled_minor=ledger.settled_minor + gross_minor)
    return (
        OrderSettlementRecorded(
            currency=state.currency.code,
            gross_minor=gross_minor,
            fee_minor=fee_minor,
            net_minor=net_minor,
            value_date=command.value_date,
            batch=batch,
            from_status=status,
            to_status=open_status(after),
            totals=after.totals,
        ),
        *settled(state, after),
    )
