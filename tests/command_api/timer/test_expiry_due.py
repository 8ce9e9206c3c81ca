"""Which events set and clear the timer of an order."""

from datetime import timedelta

import pytest

from command_api.timer.due import timer_changes
from infra.event_store.protocol import StoredEvent
from tests.support.orders.builders import NOW, order_state, recorded_history, stored
from tests.support.orders.spec import ORDER_ID

WEEK = timedelta(days=7)


def stored_event(event_type: str, payload: bytes, schema_version: int = 1, sequence: int = 1) -> StoredEvent:
    return StoredEvent(
        position=sequence,
        log_id=0,
        tenant_id="acme.test",
        stream_id=ORDER_ID,
        version=sequence,
        type=event_type,
        schema_version=schema_version,
        event_id=ORDER_ID,
        occurred_at=NOW,
        recorded_at=NOW,
        actor="api_key:k3y00001",
        correlation_id=None,
        causation_id=None,
        traceparent=None,
        payload=payload,
        leaf_hash=bytes(32),
    )


def history(*verbs: str) -> list[StoredEvent]:
    kept = [stored(recorded) for recorded in recorded_history(*verbs)]
    return [stored_event(row.type, row.payload, row.schema_version, row.sequence) for row in kept]


@pytest.mark.parametrize(
    ("verbs", "due_after"),
    [
        ((), WEEK),
        (("amend", "note"), WEEK),
        (("authorize",), WEEK + timedelta(seconds=1)),
        (("authorize", "capture_some", "refund_some"), WEEK + timedelta(seconds=1)),
        (("authorize", "capture"), None),
        (("authorize", "capture_last"), None),
        (("authorize", "capture_some", "void", "settle_some"), None),
        (("cancel",), None),
        (("expire", "note"), None),
    ],
)
def test_an_order_is_due_by_its_last_deadline_until_nothing_of_it_can_expire(
    verbs: tuple[str, ...], due_after: timedelta | None
) -> None:
    [due_at] = timer_changes(history(*verbs)).values()

    assert due_at == (None if due_after is None else NOW + due_after)


def test_an_event_that_cannot_be_read_changes_no_timer() -> None:
    broken = [stored_event("order.created", payload) for payload in (b"", b"[]", b'{"data":{}}', b"\xff")]

    assert timer_changes(broken) == {}


def test_an_order_that_is_only_followed_from_its_middle_is_known_by_what_comes() -> None:
    assert order_state("authorize").auth_expires_at in timer_changes(history("authorize")[1:]).values()
