"""Every cell of the matrix of statuses and verbs, written out once more by hand."""

from datetime import timedelta

import pytest

from domain.order.commands import SetStatus
from domain.order.errors import (
    AlreadyAuthorizedError,
    AlreadyCapturedError,
    CaptureNotCancelableError,
    FullyRefundedError,
    InvalidTransitionError,
    NotAuthorizedError,
    NotCapturedError,
    NothingToSettleError,
    NothingToVoidError,
    OrderNotAmendableError,
    OrderTerminalError,
    PartlyCapturedError,
    TransitionError,
)
from domain.order.status import Status
from domain.order.transitions import MATRIX, Verb, allowed_transitions
from tests.support.orders.builders import NOW, verb_command
from tests.support.orders.spec import (
    AUTHORIZED,
    CANCELED,
    CAPTURED,
    EXPIRED,
    LATER,
    ORDER_ID,
    PARTLY_CAPTURED,
    PENDING,
    SETTLED,
    given,
)

PAST: dict[Status, tuple[str, ...]] = {
    PENDING: (),
    AUTHORIZED: ("authorize",),
    PARTLY_CAPTURED: ("authorize", "capture_some"),
    CAPTURED: ("authorize", "capture"),
    SETTLED: ("authorize", "capture", "settle"),
    CANCELED: ("cancel",),
    EXPIRED: ("expire",),
}
Outcome = Status | type[TransitionError] | None
VERBS = (
    "amend", "authorize", "capture", "capture_some", "void", "cancel", "refund", "settle", "settle_some", "expire"
)  # fmt: skip
TABLE: dict[Status, tuple[Outcome, ...]] = {
    PENDING: (
        PENDING, AUTHORIZED, NotAuthorizedError, NotAuthorizedError, NothingToVoidError, CANCELED,
        NotCapturedError, NothingToSettleError, NothingToSettleError, EXPIRED
    ),
    AUTHORIZED: (
        OrderNotAmendableError, AlreadyAuthorizedError, CAPTURED, PARTLY_CAPTURED, CANCELED,
        CANCELED, NotCapturedError, NothingToSettleError, NothingToSettleError, EXPIRED
    ),
    PARTLY_CAPTURED: (
        OrderNotAmendableError, AlreadyAuthorizedError, CAPTURED, PARTLY_CAPTURED, CAPTURED,
        PartlyCapturedError, PARTLY_CAPTURED, None, PARTLY_CAPTURED, CAPTURED
    ),
    CAPTURED: (
        OrderNotAmendableError, AlreadyAuthorizedError, AlreadyCapturedError, AlreadyCapturedError, NothingToVoidError,
        CaptureNotCancelableError, CAPTURED, SETTLED, CAPTURED, None
    ),
    SETTLED: (
        OrderNotAmendableError, AlreadyAuthorizedError, AlreadyCapturedError, AlreadyCapturedError, NothingToVoidError,
        CaptureNotCancelableError, SETTLED, NothingToSettleError, NothingToSettleError, None
    ),
    CANCELED: (
        OrderNotAmendableError, OrderTerminalError, OrderTerminalError, OrderTerminalError, NothingToVoidError,
        OrderTerminalError, NotCapturedError, NothingToSettleError, NothingToSettleError, None
    ),
    EXPIRED: (
        OrderNotAmendableError, OrderTerminalError, OrderTerminalError, OrderTerminalError, NothingToVoidError,
        OrderTerminalError, NotCapturedError, NothingToSettleError, NothingToSettleError, None
    ),
}  # fmt: skip
CELLS = [(status, verb, cell) for status, row in TABLE.items() for verb, cell in zip(VERBS, row, strict=True)]
REACHED = {
    (PENDING, AUTHORIZED),
    (PENDING, CANCELED),
    (AUTHORIZED, CAPTURED),
    (AUTHORIZED, CANCELED),
    (PARTLY_CAPTURED, CAPTURED),
    (CAPTURED, SETTLED),
}


def matrix_verb(verb: str) -> Verb:
    return Verb(verb.removesuffix("_some"))


def test_the_hand_written_matrix_has_every_cell() -> None:
    assert set(MATRIX) == set(TABLE) == set(PAST) == set(Status)
    assert all(set(row) == set(Verb) == {matrix_verb(verb) for verb in VERBS} for row in MATRIX.values())


@pytest.mark.parametrize(("status", "verb", "cell"), [cell for cell in CELLS if cell[2] is not None])
def test_a_verb_leads_on_or_is_refused_by_its_code(
    status: Status, verb: str, cell: Status | type[TransitionError]
) -> None:
    spec = given(*PAST[status]).when(verb_command(verb, ORDER_ID, LATER))
    if isinstance(cell, Status):
        moves = MATRIX[status][matrix_verb(verb)]
        assert spec.state_after().status == cell
        assert isinstance(moves, tuple)
        assert cell in moves
    else:
        refused = spec.then_refused(cell)
        assert refused.requested == matrix_verb(verb)
        assert refused.allowed_transitions == allowed_transitions(status)


@pytest.mark.parametrize("status", [CAPTURED, SETTLED, CANCELED, EXPIRED])
def test_the_timer_passes_by_what_time_does_not_change(status: Status) -> None:
    given(*PAST[status]).when(verb_command("expire", ORDER_ID, LATER)).then_nothing()


@pytest.mark.parametrize("verb", ["void", "expire"])
def test_releasing_the_rest_of_a_partly_captured_order_that_is_all_paid_out_settles_it(verb: str) -> None:
    spec = given("authorize", "capture_some", "settle_some").when(verb_command(verb, ORDER_ID, LATER))
    assert spec.state_after().status == SETTLED


@pytest.mark.parametrize("past", [("capture_some",), ("capture",), ("capture", "settle")])
def test_what_was_all_given_back_cannot_be_refunded_again(past: tuple[str, ...]) -> None:
    refused = (
        given("authorize", *past, "refund")
        .when(verb_command("refund", ORDER_ID, LATER))
        .then_refused(FullyRefundedError)
    )
    assert refused.requested == "refund"


def test_a_partly_captured_order_that_is_all_paid_out_has_nothing_to_settle() -> None:
    spec = given("authorize", "capture_some", "settle_some").when(verb_command("settle_some", ORDER_ID, LATER))
    spec.then_refused(NothingToSettleError)


@pytest.mark.parametrize("status", PAST)
@pytest.mark.parametrize("target", Status)
def test_setting_a_status_does_the_verb_that_leads_there_or_nothing_or_is_refused(
    status: Status, target: Status
) -> None:
    spec = given(*PAST[status]).when(SetStatus(ORDER_ID, target, None, LATER))
    if target is status:
        spec.then_nothing()
    elif (status, target) in REACHED:
        assert spec.state_after().status == target
    else:
        refused = spec.then_refused(InvalidTransitionError)
        assert refused.requested == target.value
        assert refused.allowed_transitions == allowed_transitions(status)


@pytest.mark.parametrize("status", PAST)
def test_allowed_transitions_are_the_statuses_an_order_can_be_set_to(status: Status) -> None:
    assert {(status, target) for target in allowed_transitions(status)} == {
        (before, after) for before, after in REACHED if before is status
    }


def test_a_canceled_order_that_was_authorized_is_over_too() -> None:
    later = NOW + timedelta(hours=2)
    given("authorize", "cancel").when(verb_command("capture", ORDER_ID, later)).then_refused(OrderTerminalError)
