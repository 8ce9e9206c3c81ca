from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from infra.event_store.protocol import StoredEvent
from infra.kafka.records import ForeignRecordError, Header, Record, from_record, to_record
from infra.partitioning import partition_of
from tests.support.event_store.stored_events import stored_events

COUNTS = st.integers(1, 2**62)


@dataclass(frozen=True)
class Consumed:
    """What a consumer gets for a record."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


def an_event(**changes: object) -> StoredEvent:
    fields: dict[str, object] = {
        "position": 42,
        "log_id": 0,
        "tenant_id": "acme.test",
        "stream_id": UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
        "version": 3,
        "type": "order.captured",
        "schema_version": 1,
        "event_id": UUID("01890a5d-ac96-774b-bcce-b302099a8058"),
        "occurred_at": datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC),
        "recorded_at": datetime(2026, 11, 23, 1, 2, 3, 5, tzinfo=UTC),
        "actor": "api_key:k3y00001",
        "correlation_id": None,
        "causation_id": None,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "payload": b'{"event_id":"..."}',
        "leaf_hash": bytes(32),
    }
    return StoredEvent(**(fields | changes))  # type: ignore[arg-type]  # a builder of one test file


def consumed(record: Record, **changes: object) -> Consumed:
    fields: dict[str, object] = {"key": record.key, "value": record.value, "headers": tuple(record.headers)}
    return Consumed(partition=5, offset=7, **(fields | changes))  # type: ignore[arg-type]  # the same


def with_header(name: str, *values: object) -> tuple[object, ...]:
    """Return the headers of a record with other values of one of them, or none."""
    return (
        *(each for each in to_record(an_event(), 1).headers if each[0] != name),
        *((name, value) for value in values),
    )


def test_a_record_is_a_cloud_event_in_binary_mode_around_the_stored_bytes() -> None:
    record = to_record(an_event(), epoch=9, previous=41)
    assert record == Record(
        key=b"01890a5d-ac96-774b-bcce-b302099a8057",
        value=b'{"event_id":"..."}',
        headers=[
            ("ce_id", b"01890a5d-ac96-774b-bcce-b302099a8058"),
            ("ce_type", b"order.captured"),
            ("ce_source", b"/harbor/log/0"),
            ("ce_specversion", b"1.0"),
            ("ce_time", b"2026-11-23T01:02:03.000000Z"),
            ("ce_subject", b"01890a5d-ac96-774b-bcce-b302099a8057"),
            ("ce_dataschema", b"urn:harbor-orders:schema:order.captured.v1"),
            ("content-type", b"application/json"),
            ("position", b"42"),
            ("sequence", b"3"),
            ("epoch", b"9"),
            ("previous", b"41"),
            ("recorded_at", b"2026-11-23T01:02:03.000005Z"),
            ("tenant", b"acme.test"),
            ("schema_version", b"1"),
            ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ],
    )


def test_an_instant_of_another_zone_is_written_in_utc() -> None:
    elsewhere = datetime(2026, 11, 23, 3, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    headers = dict(to_record(an_event(occurred_at=elsewhere), epoch=1).headers)
    assert headers["ce_time"] == b"2026-11-23T01:02:03.000000Z"


@given(event=stored_events(), epoch=COUNTS)
def test_what_is_written_is_read_back_whole(event: StoredEvent, epoch: int) -> None:
    read = from_record(consumed(to_record(event, epoch)))
    assert (read.position, read.sequence, read.epoch, read.event_id, read.order_id) == (
        event.position,
        event.version,
        epoch,
        event.event_id,
        event.stream_id,
    )
    assert (read.type, read.schema_version, read.tenant_id, read.recorded_at, read.traceparent, read.payload) == (
        event.type,
        event.schema_version,
        event.tenant_id,
        event.recorded_at,
        event.traceparent,
        event.payload,
    )
    assert (read.partition, read.offset) == (5, 7)


@pytest.mark.parametrize("name", ["ce_dataschema", "previous", "traceparent"])
def test_a_record_of_before_a_header_was_introduced_is_still_read(name: str) -> None:
    read = from_record(consumed(to_record(an_event(), 1), headers=with_header(name)))

    assert (read.position, read.payload) == (42, b'{"event_id":"..."}')


@given(order_id=st.uuids(), partitions=st.integers(1, 200))
def test_our_partitioner_agrees_with_kafkas(order_id: UUID, partitions: int) -> None:
    numbers = list(range(partitions))
    assert partition_of(order_id, partitions) == DefaultPartitioner()(str(order_id).encode(), numbers, numbers)


@pytest.mark.parametrize(
    "changes",
    [
        {"value": None},
        {"key": None},
        {"key": b"\xff\xfe"},
        {"key": b"not-an-id"},
        {"headers": ()},
        {"headers": with_header("position")},
        {"headers": with_header("position", b"0")},
        {"headers": with_header("position", b"1e3")},
        {"headers": with_header("position", None)},
        {"headers": with_header("ce_id", b"\xff")},
        {"headers": with_header("recorded_at", b"yesterday")},
        {"headers": with_header("recorded_at", b"2026-11-23T01:02:03")},
        {"headers": with_header("epoch", None)},
    ],
)
def test_a_record_of_somebody_else_is_named_foreign(changes: dict[str, object]) -> None:
    with pytest.raises(ForeignRecordError):
        from_record(consumed(to_record(an_event(), epoch=1), **changes))
