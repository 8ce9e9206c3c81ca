"""Events as bytes: exact, strict, versioned; and every version ever stored still folds."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import ValidationError

from domain.codec import CURRENT, decode, encode
from domain.errors import MalformedEventError, UnknownEventError
from domain.order.envelope import Actor
from domain.order.events import OrderCaptured
from domain.order.state import fold
from domain.order.status import Status
from domain.upcast import UPCASTERS, JsonObject
from tests.support.orders.builders import NOW, envelope, recorded_history, stored, stored_history

GOLDEN = Path(__file__).parent / "golden"
CAPTURED = "order.created.v1 order.authorized.v1 order.captured.v2"
REASONED = "order.created.v1 order.authorized.v2 order.captured.v3"
LIVES = {
    "order.created.v1 order.authorized.v1 order.captured.v1": Status.CAPTURED,
    "order.created.v1 order.authorized.v1 order.canceled.v1": Status.CANCELED,
    "order.created.v1-sealed order.authorized.v1 order.captured.v1": Status.CAPTURED,
    f"{CAPTURED} order.refunded.v1": Status.CAPTURED,
    f"{CAPTURED} order.refunded.v1 order.settlement_recorded.v1 order.settled.v1": Status.SETTLED,
    f"{REASONED} order.refunded.v1 order.settlement_recorded.v2 order.settled.v1": Status.SETTLED,
    f"{CAPTURED}-partial order.authorization_released.v1": Status.CAPTURED,
    "order.created.v1 order.amended.v1 order.details_changed.v1 order.note_added.v1": Status.PENDING,
    "order.created.v1 order.expired.v1": Status.EXPIRED,
}


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes().strip()


def golden_names() -> list[str]:
    return sorted(path.name.removesuffix(".json") for path in GOLDEN.glob("*.json"))


def kind(document: bytes) -> tuple[str, int]:
    header = json.loads(document)
    return header["type"], header["schema_version"]


def test_the_bytes_are_compact_json_in_a_fixed_key_order() -> None:
    (row,) = stored_history()
    document = json.loads(row.payload)
    assert list(document) == [
        "event_id", "type", "schema_version", "order_id", "sequence", "occurred_at", "partner_id", "livemode", "actor",
        "request_id", "traceparent", "correlation_id", "causation_id", "data",
    ]  # fmt: skip
    assert list(document["data"]) == [
        "currency", "lines", "external_reference", "metadata", "expires_at", "personal", "from_status", "to_status",
        "totals",
    ]  # fmt: skip
    assert json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() == row.payload


def test_an_instant_always_has_six_digits_and_z() -> None:
    (recorded,) = recorded_history(now=datetime(2026, 11, 23, tzinfo=UTC))
    document = json.loads(encode(recorded.event, recorded.envelope))
    assert document["occurred_at"] == "2026-11-23T00:00:00.000000Z"
    assert document["data"]["expires_at"] == "2026-11-30T00:00:00.000000Z"


@pytest.mark.parametrize("occurred_at", [NOW.replace(tzinfo=None), NOW.astimezone(timezone(timedelta(hours=2)))])
def test_an_envelope_takes_only_instants_in_utc(occurred_at: datetime) -> None:
    with pytest.raises(ValidationError):
        envelope(occurred_at=occurred_at)


def test_an_event_of_the_system_has_no_key() -> None:
    (recorded,) = recorded_history()
    by_system = recorded.envelope.model_copy(update={"actor": Actor(type="system", id="expiry", key_id=None)})
    payload = encode(recorded.event, by_system)
    assert decode("order.created", 1, payload).envelope.actor.key_id is None


@pytest.mark.parametrize(
    ("event_type", "version"), [("order.shipped", 1), ("", 1), ("order.created", 2), ("order.created", 0)]
)
def test_an_unknown_type_or_version_is_refused(event_type: str, version: int) -> None:
    (row,) = stored_history()
    with pytest.raises(UnknownEventError):
        decode(event_type, version, row.payload)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"null", b"[]", b"{}", b"\xff", b'{"type":"order.created"}', b"[" * 10_000]
)
def test_bytes_that_are_not_a_document_are_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedEventError):
        decode("order.created", 1, payload)


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1}, {"type": "order.captured"}, {"schema_version": 2}, {"sequence": "1"}, {"sequence": 1.0},
        {"sequence": 0}, {"livemode": 0}, {"livemode": "false"}, {"event_id": "x"}, {"event_id": 1},
        {"occurred_at": "2026-11-23T01:02:03"}, {"occurred_at": 1_763_859_723},
        {"occurred_at": "2026-11-23T01:02:03+02:00"}, {"actor": None}, {"data": {}},
    ],
)  # fmt: skip
def test_a_document_with_another_shape_is_malformed(change: JsonObject) -> None:
    (row,) = stored_history()
    with pytest.raises(MalformedEventError):
        decode("order.created", 1, json.dumps(json.loads(row.payload) | change).encode())


def test_the_error_of_a_malformed_event_names_places_and_never_values() -> None:
    (row,) = stored_history()
    document = json.loads(row.payload)
    document["data"]["personal"] = {"scheme": "clear", "customer_email": ["k4nary@example.com"]}
    with pytest.raises(MalformedEventError, match=r"data\.personal\.clear\.customer_email") as refused:
        decode("order.created", 1, json.dumps(document).encode())
    assert "k4nary" not in str(refused.value)


def test_an_older_version_is_upcast_step_by_step() -> None:
    """Suppose version 1 is the third: -1 called the reason `why`, 0 had no `released_minor`."""

    def name_the_reason(data: JsonObject) -> JsonObject:
        return {("reason" if name == "why" else name): value for name, value in data.items()}

    def release_nothing(data: JsonObject) -> JsonObject:
        return data | {"released_minor": 0}

    *_, canceled = recorded_history("cancel")
    document = json.loads(stored(canceled).payload)
    old_data = {("why" if name == "reason" else name): value for name, value in document["data"].items()}
    del old_data["released_minor"]
    old = json.dumps(document | {"schema_version": -1, "data": old_data}).encode()

    upcasters = {("order.canceled", -1): name_the_reason, ("order.canceled", 0): release_nothing}
    assert decode("order.canceled", -1, old, upcasters=upcasters) == canceled
    with pytest.raises(UnknownEventError):
        decode("order.canceled", -1, old, upcasters={("order.canceled", -1): name_the_reason})
    with pytest.raises(MalformedEventError):
        decode("order.canceled", -1, b'{"data":1,"schema_version":-1}', upcasters=upcasters)


def test_every_older_version_has_an_upcaster() -> None:
    steps = {(name, version) for name, current in CURRENT.items() for version in range(1, current.schema_version)}
    assert set(UPCASTERS) == steps


def test_every_version_ever_stored_has_a_golden_file() -> None:
    kept = {kind(golden(name)) for name in golden_names()}
    assert kept == {
        (event_type, version)
        for event_type, current in CURRENT.items()
        for version in range(1, current.schema_version + 1)
    }


@pytest.mark.parametrize("name", golden_names())
def test_a_golden_event_still_reads_and_writes_the_same_bytes(name: str) -> None:
    document = golden(name)
    event_type, version = kind(document)
    recorded = decode(event_type, version, document)
    if version == CURRENT[event_type].schema_version:
        assert encode(recorded.event, recorded.envelope) == document


@pytest.mark.parametrize("life", LIVES)
def test_golden_lives_still_fold(life: str) -> None:
    state = fold(None, (decode(*kind(golden(name)), golden(name)) for name in life.split()))
    assert state is not None
    assert state.status == LIVES[life]
    if "details_changed" not in life:
        assert state.customer_email == (None if "sealed" in life else "buyer@example.com")


def test_a_capture_of_version_1_has_no_lines_and_no_reason() -> None:
    captured = decode("order.captured", 1, golden("order.captured.v1")).event
    assert isinstance(captured, OrderCaptured)
    assert (captured.lines, captured.reason) == ((), None)
