"""Every cell of the matrix of statuses and verbs, written out once more by hand."""

from datetime import timedelta

import pytest

from domain.order.commands import SetStatus
from domain.order.errors import (
    AlreadyAuthorizedError,
    AlreadyCapturedError,
    CaptureNotCancelableError,
    InvalidTransitionError,
    NotAuthorizedError,
    OrderTerminalError,
    TransitionError,
)
from domain.order.status import Status
from domain.order.transitions import MATRIX, Verb, allowed_transitions
from tests.support.order_spec import LATER, ORDER_ID, given
from tests.support.orders import NOW, verb_command

PAST: dict[Status, tuple[str, ...]] = {
    Status.PENDING: (),
    Status.AUTHORIZED: ("authorize",),
    Status.CAPTURED: ("authorize", "capture"),
    Status.CANCELED: ("cancel",),
}
VERB_CELLS: list[tuple[Status, str, Status | type[TransitionError]]] = [
    (Status.PENDING, "authorize", Status.AUTHORIZED),
    (Status.PENDING, "capture", NotAuthorizedError),
    (Status.PENDING, "cancel", Status.CANCELED),
    (Status.AUTHORIZED, "authorize", AlreadyAuthorizedError),
    (Status.AUTHORIZED, "capture", Status.CAPTURED),
    (Status.AUTHORIZED, "cancel", Status.CANCELED),
    (Status.CAPTURED, "authorize", AlreadyAuthorizedError),
    (Status.CAPTURED, "capture", AlreadyCapturedError),
    (Status.CAPTURED, "cancel", CaptureNotCancelableError),
    (Status.CANCELED, "authorize", OrderTerminalError),
    (Status.CANCELED, "capture", OrderTerminalError),
    (Status.CANCELED, "cancel", OrderTerminalError),
]
NOT_YET = {Status.PARTIALLY_CAPTURED, Status.SETTLED, Status.EXPIRED}
REACHED = {(status, cell) for status, _, cell in VERB_CELLS if isinstance(cell, Status)}


def test_the_hand_written_matrix_has_every_cell() -> None:
    assert {(status, verb) for status, verb, _ in VERB_CELLS} == {(status, verb) for status in PAST for verb in Verb}
    assert set(MATRIX) == set(PAST) == set(Status) - NOT_YET


def test_the_matrix_has_a_row_for_every_status_that_can_be_reached_and_no_other() -> None:
    assert set(MATRIX) == {Status.PENDING} | {after for _, after in REACHED}


@pytest.mark.parametrize(("status", "verb", "cell"), VERB_CELLS)
def test_a_verb_leads_on_or_is_refused_by_its_code(
    status: Status, verb: str, cell: Status | type[TransitionError]
) -> None:
    spec = given(*PAST[status]).when(verb_command(verb, ORDER_ID, LATER))
    if isinstance(cell, Status):
        assert spec.state_after().status == cell
    else:
        refused = spec.then_refused(cell)
        assert refused.requested == verb
        assert refused.allowed_transitions == allowed_transitions(status)


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
def test_allowed_transitions_are_what_verbs_reach(status: Status) -> None:
    assert {(status, target) for target in allowed_transitions(status)} == {
        (before, after) for before, after in REACHED if before is status
    }


def test_a_canceled_order_that_was_authorized_is_over_too() -> None:
    later = NOW + timedelta(hours=2)
    given("authorize", "cancel").when(verb_command("capture", ORDER_ID, later)).then_refused(OrderTerminalError)
