"""Decide about what was captured: refund it to the buyer, or record that it was paid out."""

from domain import text
from domain.order.commands import Refund, Settle
from domain.order.decisions.rules import (
    checked_amount,
    checked_optional_amount,
    checked_reason,
    checked_text,
    require_available,
)
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


def refund(command: Refund, state: OrderState) -> tuple[OrderRefunded]:
    """Refund an amount; the status stays, `refund_status` says how much was refunded."""
    reason = checked_reason(command.reason)
    amount_minor = checked_optional_amount(command.amount, state.currency, "amount")
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
    reason = checked_reason(command.reason)
    gross_minor = checked_amount(command.gross, state.currency, "gross")
    fee_minor = checked_amount(command.fee, state.currency, "fee")
    net_minor = checked_amount(command.net, state.currency, "net")
    batch = None if command.batch is None else checked_text(text.batch, command.batch, "batch")
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
            value_date=command.value_date,
            batch=batch,
            reason=reason,
            **shared_members(state, after),
        ),
        *settled(state, after),
    )


def settled(state: OrderState, after: Ledger) -> tuple[OrderSettled, ...]:
    """Return the event that marks an order as settled if `after` is the ledger of a settled order."""
    if open_status(after) is not Status.SETTLED:
        return ()
    return (OrderSettled(amount_minor=after.settled_minor, **shared_members(state._replace(ledger=after))),)
