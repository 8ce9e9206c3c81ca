"""What an order refuses, as problems that are final and recorded: 409 by its status, 422 by its amounts."""

from typing import Final

from command_api.errors import CURRENT_VERSION
from domain.money import amount_text
from domain.order.errors import AmountError, TransitionError
from domain.order.status import Status
from domain.order.transitions import allowed_transitions
from infra.http.problems import Member, Problem, ProblemType

_NOT_NOW: Final = "The order does not allow this now; see allowed_transitions."


def _transition(code: str, title: str, detail: str = _NOT_NOW, *, status: Status, requested: str) -> ProblemType:
    """Return a type; it is shown for an order in this `status` that is asked for what is `requested`."""
    members = (
        Member("current_status", "the order's status", status.value),
        Member("requested", "the verb, the status or the field that was asked for", requested),
        Member(
            "allowed_transitions",
            "the statuses that the order can be set to",
            tuple(map(str, allowed_transitions(status))),
        ),
        CURRENT_VERSION,
    )
    return ProblemType(code, 409, title, detail, members=members)


def _amount(code: str, title: str, detail: str, *, requested: str = "70.00") -> ProblemType:
    members = (
        Member("requested_amount", "the amount that was asked for", requested),
        Member("available_amount", "the amount that is left for it", "47.48"),
        Member("currency", "of both amounts", "EUR"),
        CURRENT_VERSION,
    )
    return ProblemType(code, 422, title, detail, members=members)


ORDER_PROBLEMS: Final[tuple[ProblemType, ...]] = (
    _transition("already_authorized", "Order is already authorized", status=Status.AUTHORIZED, requested="authorize"),
    _transition(
        "order_terminal",
        "Order is closed",
        "The order is canceled or expired, and stays so.",
        status=Status.CANCELED,
        requested="capture",
    ),
    _transition("not_authorized", "Order is not authorized", status=Status.PENDING, requested="capture"),
    _transition(
        "already_captured",
        "Order is already captured",
        "All that was authorized is captured, or was released by the final capture, a void or its expiry.",
        status=Status.CAPTURED,
        requested="capture",
    ),
    _transition("already_captured_use_refund", "Captured: refund instead", status=Status.CAPTURED, requested="cancel"),
    _transition(
        "invalid_transition", "Status cannot be reached from here", status=Status.PENDING, requested="captured"
    ),
    _transition(
        "order_not_amendable",
        "Lines are fixed",
        "Lines and prices can be changed only while the order is pending.",
        status=Status.AUTHORIZED,
        requested="amend",
    ),
    _transition(
        "field_locked",
        "Field is fixed",
        "The field named by requested cannot be changed any more.",
        status=Status.AUTHORIZED,
        requested="shipping_address",
    ),
    _transition(
        "nothing_to_void",
        "Nothing to void",
        "Only what is authorized and not captured can be voided. Cancel a pending order, refund captured money.",
        status=Status.CAPTURED,
        requested="void",
    ),
    _transition(
        "partially_captured_use_void",
        "Partially captured: void the rest instead",
        status=Status.PARTIALLY_CAPTURED,
        requested="cancel",
    ),
    _transition(
        "not_captured",
        "Order is not captured",
        "Nothing was captured, so nothing can be given back.",
        status=Status.AUTHORIZED,
        requested="refund",
    ),
    _transition(
        "fully_refunded",
        "Order is fully refunded",
        "All that was captured was given back.",
        status=Status.CAPTURED,
        requested="refund",
    ),
    _transition(
        "nothing_to_settle",
        "Nothing to settle",
        "Only what was captured can be settled, and all of that, if anything, is settled already.",
        status=Status.SETTLED,
        requested="settle",
    ),
)
"""Code of a `TransitionError` -> problem. A test holds this table to the codes in `domain.order.errors`."""

AMOUNT_PROBLEMS: Final[tuple[ProblemType, ...]] = (
    _amount("amount_zero", "Amount is zero", "An amount is more than zero.", requested="0.00"),
    _amount(
        "amount_exceeds_capturable",
        "Amount exceeds what can be captured",
        "The amount is more than is authorized and not captured; see available_amount.",
    ),
    _amount(
        "amount_exceeds_refundable",
        "Amount exceeds what can be refunded",
        "The amount is more than was captured and not refunded; see available_amount.",
    ),
    _amount(
        "amount_exceeds_captured",
        "Amount exceeds what can be settled",
        "The gross amount is more than was captured and not settled; see available_amount.",
    ),
    _amount(
        "settlement_mismatch",
        "Settlement does not add up",
        "The gross amount is not fee plus net; available_amount is their sum.",
    ),
)
"""Code of an `AmountError` -> problem, held to the domain by the same test."""

_BY_CODE: Final = {kind.code: kind for kind in (*ORDER_PROBLEMS, *AMOUNT_PROBLEMS)}


def order_problem(error: TransitionError | AmountError) -> Problem:
    """Return the final refusal of a command that the order's status, or what is left of its amounts, does not allow."""
    kind = _BY_CODE[error.code]
    if isinstance(error, AmountError):
        return Problem(
            kind,
            members={
                "requested_amount": amount_text(error.requested_minor, error.currency),
                "available_amount": amount_text(error.available_minor, error.currency),
                "currency": error.currency.code,
                "current_version": error.current_version,
            },
        )
    return Problem(
        kind,
        members={
            "current_status": error.current_status.value,
            "requested": error.requested,
            "allowed_transitions": [status.value for status in error.allowed_transitions],
            "current_version": error.current_version,
        },
    )
