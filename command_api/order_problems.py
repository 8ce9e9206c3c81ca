"""What an order refuses, as problems that are final and recorded: 409 by its status, 422 by its amounts."""

from typing import Final

from domain.money import amount_text
from domain.order.errors import AmountError, TransitionError
from infra.http.problems import Problem, ProblemType

_NOT_NOW: Final = "The order does not allow this now; see allowed_transitions."


def _transition(code: str, title: str, detail: str = _NOT_NOW) -> ProblemType:
    return ProblemType(code, 409, title, detail)


def _amount(code: str, title: str, detail: str) -> ProblemType:
    return ProblemType(code, 422, title, detail)


ORDER_PROBLEMS: Final[tuple[ProblemType, ...]] = (
    _transition("already_authorized", "Order is already authorized"),
    _transition(
        "order_terminal",
        "Order is closed",
        "The order is canceled or expired, and stays so.",
    ),
    _transition("not_authorized", "Order is not authorized"),
    _transition(
        "already_captured",
        "Order is already captured",
        "All that was authorized is captured, or was released by the final capture, a void or its expiry.",
    ),
    _transition("already_captured_use_refund", "Captured: refund instead"),
    _transition("invalid_transition", "Status cannot be reached from here"),
    ProblemType(
        "order_not_amendable",
        409,
        "Lines are fixed",
        "Lines and prices can be changed only while the order is pending.",
    ),
    ProblemType("field_locked", 409, "Field is fixed", "The field named by requested cannot be changed any more."),
    _transition(
        "nothing_to_void",
        "Nothing to void",
        "Only what is authorized and not captured can be voided. Cancel a pending order, refund captured money.",
    ),
    _transition("partially_captured_use_void", "Partially captured: void the rest instead"),
    _transition(
        "not_captured",
        "Order is not captured",
        "Nothing was captured, so nothing can be given back.",
    ),
    _transition(
        "fully_refunded",
        "Order is fully refunded",
        "All that was captured was given back.",
    ),
    _transition(
        "nothing_to_settle",
        "Nothing to settle",
        "Only what was captured can be settled, and all of that, if anything, is settled already.",
    ),
)
"""Code of a `TransitionError` -> problem. A test holds this table to the codes in `domain.order.errors`."""

AMOUNT_PROBLEMS: Final[tuple[ProblemType, ...]] = (
    _amount("amount_zero", "Amount is zero", "An amount is more than zero."),
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
