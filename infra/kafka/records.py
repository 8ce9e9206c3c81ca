"""What a record on `orders.events.v1` looks like: CloudEvents 1.0 in binary mode, key = order id.

The value is the event's payload byte for byte as it is stored, so a repeat is identical to its first occurrence except
for the relay's `epoch` header. Everything the append assigned (position, sequence, time of record) travels in headers.
Every header value is ASCII text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from infra.event_store.protocol import StoredEvent

Header = tuple[str, bytes]

_SPEC_VERSION: Final[Header] = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Final[Header] = ("content-type", b"application/json")


class ForeignRecordError(ValueError):
    """The record was not written by the relay: a header is missing or malformed, or key or value are absent."""


class Record(NamedTuple):
    """A record ready to be produced; a tuple because tens of thousands are made in a second."""

    key: bytes
    value: bytes
    headers: list[Header]


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A record read back. `offset` is Kafka's; `position` counts over the log, `sequence` over the order.

    `previous` is the position of the event before this one in the partition, 0 when there is none or it is unknown.
    """

    partition: int
    offset: int
    position: int
    tenant_id: str
    order_id: UUID
    sequence: int
    type: str
    schema_version: int
    event_id: UUID
    recorded_at: datetime
    epoch: int
    previous: int
    traceparent: str | None
    payload: bytes


class ConsumedRecord(Protocol):
    """The part of aiokafka's `ConsumerRecord` that is read."""

    @property
    def partition(self) -> int: ...  # noqa: D102  # Kafka's own words
    @property
    def offset(self) -> int: ...  # noqa: D102  # Kafka's own words
    @property
    def key(self) -> bytes | None: ...  # noqa: D102  # Kafka's own words
    @property
    def value(self) -> bytes | None: ...  # noqa: D102  # Kafka's own words
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102  # Kafka's own words


def to_record(event: StoredEvent, epoch: int, previous: int = 0) -> Record:
    """Return the record of an event.

    Args:
        event: as stored.
        epoch: lease epoch of the relay that sends it.
        previous: position of the event before it in its partition; by it a consumer notices what it has missed.
    """
    key = str(event.stream_id).encode()
    headers: list[Header] = [
        ("ce_id", str(event.event_id).encode()),
        ("ce_type", event.type.encode()),
        ("ce_source", b"/harbor/log/%d" % event.log_id),
        _SPEC_VERSION,
        ("ce_time", _timestamp(event.occurred_at)),
        ("ce_subject", key),
        ("ce_dataschema", dataschema(event.type, event.schema_version)),
        _CONTENT_TYPE,
        ("position", b"%d" % event.position),
        ("sequence", b"%d" % event.version),
        ("epoch", b"%d" % epoch),
        ("previous", b"%d" % previous),
        ("recorded_at", _timestamp(event.recorded_at)),
        ("tenant", event.tenant_id.encode()),
        ("schema_version", b"%d" % event.schema_version),
    ]
    if event.traceparent is not None:
        headers.append(("traceparent", event.traceparent.encode()))
    return Record(key, event.payload, headers)


@lru_cache(maxsize=1024)
def dataschema(event_type: str, schema_version: int) -> bytes:
    """Return the URI of the JSON Schema that a value keeps: the `$id` of the schema in docs/schemas."""
    return b"urn:harbor-orders:schema:%b.v%d" % (event_type.encode(), schema_version)


def from_record(record: ConsumedRecord) -> TopicRecord:
    """Read a record that a consumer received. It may be of before `previous` or `ce_dataschema` were written.

    Raises:
        ForeignRecordError: it is not one of the relay's records; the message names what is wrong, never the content.
    """
    if record.value is None:
        raise ForeignRecordError("the record has no value")
    if record.key is None:
        raise ForeignRecordError("the record has no key")
    headers = dict(record.headers)
    try:
        traceparent = headers.get("traceparent")
        parsed = TopicRecord(
            partition=record.partition,
            offset=record.offset,
            position=_count(headers["position"]),
            tenant_id=headers["tenant"].decode(),
            order_id=UUID(record.key.decode()),
            sequence=_count(headers["sequence"]),
            type=headers["ce_type"].decode(),
            schema_version=_count(headers["schema_version"]),
            event_id=UUID(headers["ce_id"].decode()),
            recorded_at=datetime.fromisoformat(headers["recorded_at"].decode()),
            epoch=int(headers["epoch"]),
            previous=int(headers.get("previous", b"0")),
            traceparent=None if traceparent is None else traceparent.decode(),
            payload=record.value,
        )
    except KeyError as error:
        raise ForeignRecordError(f"the record has no header {error.args[0]}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ForeignRecordError(f"a header or the key is malformed ({type(error).__name__})") from None
    if parsed.recorded_at.tzinfo is None:
        raise ForeignRecordError("the header recorded_at has no time zone")
    return parsed


def _count(text: bytes) -> int:
    """Read a number that starts at 1."""
    number = int(text)
    if number < 1:
        raise ValueError("not positive")
    return number


@lru_cache(maxsize=1024)  # all events of one append carry the same time of record
def _timestamp(instant: datetime) -> bytes:
    """Write RFC 3339 with six digits and Z."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.isoformat(timespec="microseconds")[:26].encode() + b"Z"
