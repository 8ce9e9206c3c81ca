"""An order is over at its due time, whenever the timer writes that down: the same refusals before and after it did."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import product

import pytest

from domain.order.commands import (
    AddNote,
    Authorize,
    Capture,
    LineShare,
    OrderCommand,
    Refund,
    SetStatus,
    Settle,
    UpdateDetails,
)
from domain.order.decide import decide
from domain.order.envelope import RecordedOrderEvent
from domain.order.errors import (
    AlreadyCapturedError,
    AmountError,
    FieldLockedError,
    InvalidTransitionError,
    OrderTerminalError,
    TransitionError,
)
from domain.order.events import OrderEvent, OrderExpired, OrderSettled
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
Answer = tuple[object, ...]


def at(state: OrderState, verb: str, now: datetime) -> OrderCommand:
    return replace(verb_command(verb, state.order_id, now), now=now)


def answer(command: OrderCommand, state: OrderState) -> Answer:
    """Return what a client sees of a decision, beside the version: the refusal, or which events there are.

    The settlement that completes a late order makes it settled only when the timer has released the rest.
    """
    try:
        events: tuple[OrderEvent, ...] = decide(command, state)
    except TransitionError as refused:
        return refused.code, refused.current_status, refused.requested, refused.allowed_transitions
    except AmountError as refused:
        return refused.code, refused.requested_minor, refused.available_minor
    return tuple(event.type for event in events if not isinstance(event, OrderSettled))


@pytest.mark.parametrize(("past", "verb"), [(past, verb) for past, verb in product(DUE, VERBS) if verb != "expire"])
def test_from_the_due_time_on_the_answer_is_that_of_the_order_once_the_timer_came_by(
    past: tuple[str, ...], verb: str
) -> None:
    state, due = order_state(*past, order_id=ORDER_ID), DUE[past]
    over = fold(state, record_decision(at(state, "expire", due), state))
    assert over is not None
    assert over.version > state.version
    assert answer(at(state, verb, due), state) == answer(at(state, verb, due), over)


@pytest.mark.parametrize(("past", "status"), list(product(DUE, Status)))
def test_setting_a_status_is_answered_alike_before_and_after_the_timer_came_by(
    past: tuple[str, ...], status: Status
) -> None:
    state, due = order_state(*past, order_id=ORDER_ID), DUE[past]
    over = fold(state, record_decision(at(state, "expire", due), state))
    assert over is not None
    command = SetStatus(ORDER_ID, status, None, due)
    assert answer(command, state) == answer(command, over)


@pytest.mark.parametrize(("past", "verb"), list(product(DUE, VERBS)))
def test_a_moment_before_the_due_time_everything_is_as_it_always_was(past: tuple[str, ...], verb: str) -> None:
    state, due = order_state(*past, order_id=ORDER_ID), DUE[past]
    early = NOW + timedelta(minutes=1)
    assert answer(at(state, verb, due - MOMENT), state) == answer(at(state, verb, early), state)


@pytest.mark.parametrize(
    "capture",
    [
        Capture(ORDER_ID, AUTHORIZED_DUE),
        Capture(ORDER_ID, AUTHORIZED_DUE, "0.01", final=False),
        Capture(ORDER_ID, AUTHORIZED_DUE, "999999.99"),
        Capture(ORDER_ID, AUTHORIZED_DUE, lines=(LineShare(1, 1),)),
    ],
)
def test_nothing_is_captured_of_an_authorization_whose_time_ran_out(capture: Capture) -> None:
    authorized = given("authorize")
    authorized.when(replace(capture, amount=None, lines=None, now=AUTHORIZED_DUE - MOMENT)).state_after()

    late = authorized.when(capture).then_refused(OrderTerminalError)
    part = given("authorize", "capture_some").when(capture).then_refused(AlreadyCapturedError)

    assert (late.current_status, late.allowed_transitions) == (Status.EXPIRED, ())
    assert (part.current_status, part.allowed_transitions) == (Status.CAPTURED, (Status.SETTLED,))


def test_an_order_whose_time_ran_out_is_authorized_no_more() -> None:
    given().when(Authorize(ORDER_ID, PENDING_DUE - MOMENT)).state_after()
    refused = given().when(Authorize(ORDER_ID, PENDING_DUE)).then_refused(OrderTerminalError)
    assert (refused.current_status, refused.current_version) == (Status.EXPIRED, 1)


@pytest.mark.parametrize(
    ("past", "target"),
    [
        ((), Status.AUTHORIZED),
        ((), Status.PENDING),
        ((), Status.CAPTURED),
        (("authorize",), Status.AUTHORIZED),
        (("authorize",), Status.CAPTURED),
        (("authorize",), Status.CANCELED),
        (("authorize", "capture_some"), Status.PARTIALLY_CAPTURED),
    ],
)
def test_no_status_is_set_that_the_time_that_ran_out_forbids(past: tuple[str, ...], target: Status) -> None:
    given(*past).when(SetStatus(ORDER_ID, target, None, DUE[past])).then_refused(InvalidTransitionError)


@pytest.mark.parametrize(
    ("past", "target"),
    [((), Status.EXPIRED), (("authorize",), Status.EXPIRED), (("authorize", "capture_some"), Status.CAPTURED)],
)
def test_the_status_that_time_has_set_needs_nothing_more(past: tuple[str, ...], target: Status) -> None:
    assert decide(SetStatus(ORDER_ID, target, None, DUE[past]), order_state(*past, order_id=ORDER_ID)) == ()


def test_an_order_whose_time_ran_out_is_paid_out_by_setting_its_status() -> None:
    settled = given("authorize", "capture_some").when(SetStatus(ORDER_ID, Status.SETTLED, None, AUTHORIZED_DUE))
    assert settled.state_after().ledger.unsettled_minor == 0


def test_the_address_of_an_order_whose_time_ran_out_is_fixed_and_a_note_is_kept() -> None:
    other = "other@example.com"
    given().when(UpdateDetails(ORDER_ID, other, None, None, PENDING_DUE - MOMENT)).state_after()
    given().when(UpdateDetails(ORDER_ID, other, None, None, PENDING_DUE)).then_refused(FieldLockedError)
    noted = given().when(AddNote(ORDER_ID, "too late", "internal", PENDING_DUE)).state_after()
    assert (noted.note_count, noted.status) == (1, Status.PENDING)


def test_what_was_captured_in_time_is_refunded_and_paid_out_after_it() -> None:
    part = given("authorize", "capture_some")
    later = AUTHORIZED_DUE + timedelta(days=30)
    assert part.when(Refund(ORDER_ID, None, None, later)).state_after().ledger.refunded_minor == 1000
    settle = Settle(ORDER_ID, "10", "0", "10", date(2026, 12, 31), None, later)
    assert part.when(settle).state_after().ledger.settled_minor == 1000


def test_the_timer_still_writes_the_end_after_late_requests_were_refused() -> None:
    state = order_state("authorize", order_id=ORDER_ID)
    with pytest.raises(OrderTerminalError):
        decide(Capture(ORDER_ID, AUTHORIZED_DUE), state)
    (expired,) = decide(at(state, "expire", AUTHORIZED_DUE + timedelta(hours=1)), state)
    assert isinstance(expired, OrderExpired)
    assert (expired.due_at, expired.released_minor) == (AUTHORIZED_DUE, 6497)


def test_histories_in_which_a_late_capture_was_accepted_still_fold() -> None:
    created, authorized, captured = recorded_history("authorize", "capture")
    late = captured.envelope.model_copy(update={"occurred_at": AUTHORIZED_DUE + timedelta(days=1)})
    state = fold(None, (created, authorized, RecordedOrderEvent(captured.event, late)))
    assert state is not None
    assert (state.status, state.updated_at) == (Status.CAPTURED, AUTHORIZED_DUE + timedelta(days=1))
