"""An order expires at its due time, even if the timer records it later: refusals are the same before and after."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.order.commands import AddNote, OrderCommand, SetStatus, UpdateDetails
from domain.order.decide import decide
from domain.order.envelope import RecordedOrderEvent
from domain.order.errors import AmountError, FieldLockedError, TransitionError
from domain.order.events import OrderEvent, OrderSettled
from domain.order.state import OrderState, fold
from domain.order.status import Status
from tests.support.orders.builders import NOW, VERBS, order_state, record_decision, recorded_history, verb_command
from tests.support.orders.spec import ORDER_ID, given

MOMENT = timedelta(microseconds=1)
PENDING_DUE = NOW + timedelta(days=7)
AUTHORIZED_DUE = NOW + timedelta(days=7, seconds=1)
DUE: dict[tuple[str, ...], datetime] = {
    (): PENDING_DUE,
    ("authorize",): AUTHORIZED_DUE,
    ("authorize", "capture_some"): AUTHORIZED_DUE,
    ("authorize", "capture_some", "settle_some"): AUTHORIZED_DUE,
}
Outcome = tuple[object, ...]


def at(state: OrderState, verb: str, now: datetime) -> OrderCommand:
    return replace(verb_command(verb, state.order_id, now), now=now)


def outcome(command: OrderCommand, state: OrderState) -> Outcome:
    """Return what a client sees of a decision except the version: the refusal, or the types of the events.

    A settlement that completes an expired order settles it only when the timer has released the rest.
    """
    try:
        events: tuple[OrderEvent, ...] = decide(command, state)
    except TransitionError as refused:
        return refused.code, refused.current_status, refused.requested, refused.allowed_transitions
    except AmountError as refused:
        return refused.code, refused.requested_minor, refused.available_minor
    return tuple(event.type for event in events if not isinstance(event, OrderSettled))


def expired(state: OrderState, due: datetime) -> OrderState:
    """Return the order after the timer."""
    over = fold(state, record_decision(at(state, "expire", due), state))
    assert over is not None
    assert over.version > state.version
    return over


@pytest.mark.parametrize("past", DUE)
@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "expire"])
def test_from_the_due_time_on_a_verb_has_the_outcome_it_has_after_the_timer(past: tuple[str, ...], verb: str) -> None:
    state, due = order_state(*past, order_id=ORDER_ID), DUE[past]
    command = at(state, verb, due)
    assert outcome(command, state) == outcome(command, expired(state, due))


@pytest.mark.parametrize("past", DUE)
@pytest.mark.parametrize("status", Status)
def test_setting_a_status_has_the_same_outcome_before_and_after_the_timer(
    past: tuple[str, ...], status: Status
) -> None:
    state, due = order_state(*past, order_id=ORDER_ID), DUE[past]
    command = SetStatus(ORDER_ID, status, None, due)
    assert outcome(command, state) == outcome(command, expired(state, due))


@pytest.mark.parametrize("past", DUE)
@pytest.mark.parametrize("verb", VERBS)
def test_a_moment_before_the_due_time_nothing_has_changed(past: tuple[str, ...], verb: str) -> None:
    state, due = order_state(*past, order_id=ORDER_ID), DUE[past]
    early = NOW + timedelta(minutes=1)
    assert outcome(at(state, verb, due - MOMENT), state) == outcome(at(state, verb, early), state)


def test_an_expired_order_keeps_its_address_and_takes_notes() -> None:
    other = "other@example.com"
    given().when(UpdateDetails(ORDER_ID, other, None, None, PENDING_DUE - MOMENT)).state_after()
    given().when(UpdateDetails(ORDER_ID, other, None, None, PENDING_DUE)).then_refused(FieldLockedError)
    noted = given().when(AddNote(ORDER_ID, "too late", "internal", PENDING_DUE)).state_after()
    assert (noted.note_count, noted.status) == (1, Status.PENDING)


def test_histories_in_which_a_late_capture_was_accepted_still_fold() -> None:
    created, authorized, captured = recorded_history("authorize", "capture")
    late = captured.envelope.model_copy(update={"occurred_at": AUTHORIZED_DUE + timedelta(days=1)})
    state = fold(None, (created, authorized, RecordedOrderEvent(captured.event, late)))
    assert state is not None
    assert (state.status, state.updated_at) == (Status.CAPTURED, AUTHORIZED_DUE + timedelta(days=1))
