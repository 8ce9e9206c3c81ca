"""What `evolve` takes, what it refuses, and that a cached state is exact."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from domain.order.cached_state import dump_state, load_state
from domain.order.envelope import RecordedOrderEvent
from domain.order.errors import StaleStateError, UnexpectedEventError
from domain.order.event_parts import CapturedLine, SealedPersonal
from domain.order.events import (
    OrderAmended,
    OrderAuthorized,
    OrderCanceled,
    OrderCaptured,
    OrderCreated,
    OrderDetailsChanged,
    OrderEvent,
)
from domain.order.state import OrderState, evolve, fold
from domain.order.status import Completion, Status
from tests.support.orders.builders import NOW, new_order_id, order_state, recorded_history
from tests.support.orders.spec import totals


def test_each_event_moves_version_time_and_ledger() -> None:
    created, authorized, captured = recorded_history("authorize", "capture")
    pending = evolve(None, created)
    reserved = evolve(pending, authorized)
    taken = evolve(reserved, captured)
    assert [(order.version, order.status, order.updated_at - NOW) for order in (pending, reserved, taken)] == [
        (1, Status.PENDING, timedelta(0)),
        (2, Status.AUTHORIZED, timedelta(seconds=1)),
        (3, Status.CAPTURED, timedelta(seconds=2)),
    ]
    assert (taken.created_at, taken.expires_at) == (NOW, NOW + timedelta(days=7))
    assert taken.auth_expires_at == NOW + timedelta(days=7, seconds=1)
    assert (taken.ledger.capturable_minor, taken.ledger.refundable_minor) == (0, 6497)


def test_refund_and_settlement_status_follow_the_ledger() -> None:
    ledger = order_state("authorize", "capture").ledger
    assert (ledger.refund_status, ledger.settlement_status) == (Completion.NONE, Completion.NONE)
    assert ledger._replace(refunded_minor=1).refund_status == Completion.PARTIAL
    assert ledger._replace(refunded_minor=ledger.captured_minor).refund_status == Completion.FULL


@pytest.mark.parametrize(
    ("change", "formula"),
    [
        ({"total_minor": 0}, "0 < T <= 10^15"),
        ({"authorized_minor": 1}, "A in {0, T}"),
        ({"captured_minor": 101}, "0 <= C, 0 <= V, C + V <= A"),
        ({"released_minor": -1}, "0 <= C, 0 <= V, C + V <= A"),
        ({"refunded_minor": 101}, "0 <= R <= C"),
        ({"settled_minor": 101}, "0 <= S <= C"),
    ],
)
def test_a_ledger_names_the_invariant_it_breaks(change: dict[str, Any], formula: str) -> None:
    ledger = order_state("authorize", "capture").ledger
    whole = ledger._replace(total_minor=100, authorized_minor=100, captured_minor=100)
    assert whole.broken_invariant() is None
    assert whole._replace(**change).broken_invariant() == formula


def test_sealed_personal_data_folds_to_no_email() -> None:
    (created,) = recorded_history()
    assert isinstance(created.event, OrderCreated)
    sealed = replace(created.event, personal=SealedPersonal(scheme="sealed", key_id="subject-1", ciphertext="c2VjcmV0"))
    assert evolve(None, RecordedOrderEvent(sealed, created.envelope)).customer_email is None


def test_a_stream_starts_with_its_creation_and_only_there() -> None:
    created, authorized = recorded_history("authorize")
    with pytest.raises(UnexpectedEventError, match="first event"):
        evolve(None, authorized)
    with pytest.raises(UnexpectedEventError, match="created once"):
        evolve(evolve(None, created), RecordedOrderEvent(created.event, authorized.envelope))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sequence": 3}, "does not follow"),
        ({"sequence": 1}, "does not follow"),
        ({"order_id": new_order_id()}, "another order"),
        ({"partner_id": "globex"}, "partner and mode"),
        ({"livemode": True}, "partner and mode"),
    ],
)
def test_an_event_that_does_not_continue_its_stream_is_refused(change: dict[str, object], reason: str) -> None:
    created, authorized = recorded_history("authorize")
    stray = RecordedOrderEvent(authorized.event, authorized.envelope.model_copy(update=change))
    with pytest.raises(UnexpectedEventError, match=reason):
        evolve(evolve(None, created), stray)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"currency": "USD"}, "currency"),
        ({"amount_minor": 1}, "A in"),
        ({"to_status": Status.CAPTURED}, "statuses"),
        ({"from_status": Status.CANCELED}, "statuses"),
        ({"totals": totals(settled=1)}, "totals"),
    ],
)
def test_an_event_that_contradicts_the_ledger_is_refused(change: dict[str, Any], reason: str) -> None:
    created, authorized = recorded_history("authorize")
    wrong = RecordedOrderEvent(replace(authorized.event, **change), authorized.envelope)
    with pytest.raises(UnexpectedEventError, match=reason):
        evolve(evolve(None, created), wrong)


REFUSED_AFTERWARDS = [
    (("cancel",), ("amend",), "ends once"),
    (("cancel",), ("cancel",), "ends once"),
    (("expire",), ("cancel",), "ends once"),
    (("cancel",), ("authorize",), "neither canceled nor expired"),
    (("authorize",), ("amend",), "no line changes"),
    (("authorize", "capture_some"), ("cancel",), "neither canceled nor expired"),
    (("authorize", "capture_last"), ("authorize", "capture"), "C [+] V <= A"),
]


@pytest.mark.parametrize(("past", "other_life", "reason"), REFUSED_AFTERWARDS)
def test_an_event_that_cannot_follow_the_state_is_refused(
    past: tuple[str, ...], other_life: tuple[str, ...], reason: str
) -> None:
    state = order_state(*past)
    stray = recorded_history(*other_life, order_id=state.order_id)[-1]
    after = stray.envelope.model_copy(update={"sequence": state.version + 1})
    event = _as_if_it_agreed(stray, state)
    with pytest.raises(UnexpectedEventError, match=reason):
        evolve(state, RecordedOrderEvent(event, after))


def _as_if_it_agreed(stray: RecordedOrderEvent, state: OrderState) -> OrderEvent:
    """Return the event with the statuses and totals that would let it pass, were there no further rule."""
    ledger = state.ledger
    match stray.event:
        case OrderAuthorized():
            ledger = ledger.plus(authorized=stray.event.amount_minor)
        case OrderCaptured():
            ledger = ledger.plus(captured=stray.event.amount_minor)
        case OrderCanceled():
            ledger = ledger.plus(released=stray.event.released_minor)
        case OrderAmended():
            ledger = ledger._replace(total_minor=stray.event.totals.total_minor)
    ends = isinstance(stray.event, OrderCanceled)
    status = Status.CANCELED if ends or state.status is Status.CANCELED else state.status
    changes: dict[str, Any] = {"from_status": state.status, "to_status": status, "totals": ledger.totals}
    return replace(stray.event, **changes)


def test_more_of_a_line_than_was_ordered_cannot_have_been_captured() -> None:
    state, captured = order_state("authorize"), recorded_history("authorize", "capture_some")[-1]
    envelope = captured.envelope.model_copy(update={"order_id": state.order_id})
    assert isinstance(captured.event, OrderCaptured)
    for line in (CapturedLine(line_id=2, quantity=2), CapturedLine(line_id=3, quantity=1)):
        wrong = replace(captured.event, lines=(line,))
        with pytest.raises(UnexpectedEventError, match="more of a line"):
            evolve(state, RecordedOrderEvent(wrong, envelope))


def test_an_external_reference_that_changes_is_refused() -> None:
    state = order_state(external_reference="PO-1")
    changed = recorded_history("details", external_reference="PO-2", order_id=state.order_id)[-1]
    with pytest.raises(UnexpectedEventError, match="given once"):
        evolve(state, changed)


def test_a_changed_address_that_is_sealed_folds_to_no_email() -> None:
    state = order_state()
    changed = recorded_history("details", order_id=state.order_id)[-1]
    personal = SealedPersonal(scheme="sealed", key_id="subject-1", ciphertext="c2VjcmV0")
    assert isinstance(changed.event, OrderDetailsChanged)
    sealed = replace(changed.event, personal=personal)
    assert evolve(state, RecordedOrderEvent(sealed, changed.envelope)).customer_email is None


def test_no_events_leave_the_state_as_it_was() -> None:
    assert fold(None, ()) is None
    state = order_state("authorize")
    assert fold(state, ()) is state


@pytest.mark.parametrize(
    "verbs",
    [
        (),
        ("authorize",),
        ("authorize", "capture"),
        ("authorize", "cancel"),
        ("amend", "details", "note", "expire"),
        ("authorize", "capture_some", "capture_last", "refund_some", "settle_some"),
    ],
)
def test_a_cached_state_is_exact(verbs: tuple[str, ...]) -> None:
    state = order_state(*verbs, external_reference="PO-1", metadata={"b": "2", "a": "1"})
    assert load_state(dump_state(state)) == state
    assert dump_state(load_state(dump_state(state))) == dump_state(state)


@pytest.mark.parametrize("dumped", [b"", b"{", b"[]", b"null", b"{}", b'{"shape":3}'])
def test_bytes_that_are_not_a_cached_state_are_stale(dumped: bytes) -> None:
    with pytest.raises(StaleStateError):
        load_state(dumped)


def test_a_cached_state_of_another_shape_is_stale() -> None:
    kept = orjson.loads(dump_state(order_state()))
    with pytest.raises(StaleStateError, match="shape 1"):
        load_state(orjson.dumps(kept | {"shape": 1}))
