"""Dead letters: events that a projection could not apply, and every later event of the same order.

An order stays parked in a projection, event by event, until an operator retries or discards; all other orders continue.
A row names the event without its payload: a retry reads the event store.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg

from infra.postgres.connection import Connection
from projections.failures import describe
from projections.projection import LogRecord, Projection, SequenceGapError

Reason = Literal["poison", "gap", "behind"]
Status = Literal["parked", "discarded"]
ProjectionKey = tuple[str, int]
"""Name and version of a projection."""

_PARKED_ORDERS = """
SELECT DISTINCT projection, version, order_id FROM harbor.dead_letters
WHERE status = 'parked' AND order_id = ANY($1::uuid[])
"""

_POISON_ORDERS = """
SELECT count(DISTINCT order_id) FROM harbor.dead_letters
WHERE projection = $1 AND version = $2 AND reason = 'poison' AND parked_at > now() - interval '1 hour'
"""

_PARK = """
INSERT INTO harbor.dead_letters (projection, version, partition, position, tenant_id, order_id, sequence, type,
                                 schema_version, event_id, recorded_at, reason, retry_from, error)
SELECT * FROM unnest($1::text[], $2::int[], $3::smallint[], $4::bigint[], $5::text[], $6::uuid[], $7::int[], $8::text[],
                     $9::int[], $10::uuid[], $11::timestamptz[], $12::text[], $13::int[], $14::text[])
ON CONFLICT (projection, version, position) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event to park: why, and the sequence from which a retry applies."""

    record: LogRecord
    reason: Reason
    retry_from: int
    error: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A parked or discarded event, as an operator sees it."""

    dead_letter_id: int
    projection: str
    version: int
    partition: int
    position: int
    tenant_id: str
    order_id: UUID
    sequence: int
    type: str
    schema_version: int
    event_id: UUID
    recorded_at: datetime
    reason: Reason
    retry_from: int
    error: str
    status: Status
    attempts: int
    parked_at: datetime


def parked_event(record: LogRecord, error: Exception) -> ParkedEvent:
    """Return the event that failed."""
    if isinstance(error, SequenceGapError):
        return ParkedEvent(record, "gap", error.expected, describe(error))
    return ParkedEvent(record, "poison", record.sequence, describe(error))


def parked_behind(record: LogRecord) -> ParkedEvent:
    """Return an event whose order is parked already."""
    return ParkedEvent(record, "behind", record.sequence, "an earlier event of this order is parked")


async def parked_orders(connection: Connection, order_ids: Collection[UUID]) -> Mapping[ProjectionKey, set[UUID]]:
    """Return which of these orders are parked, per projection."""
    parked: dict[ProjectionKey, set[UUID]] = {}
    for row in await connection.fetch(_PARKED_ORDERS, list(order_ids)):
        parked.setdefault((row["projection"], row["version"]), set()).add(row["order_id"])
    return parked


async def poison_orders(connection: Connection, projection: Projection) -> int:
    """Return how many orders a projection parked within the last hour because an event failed."""
    count: int = await connection.fetchval(_POISON_ORDERS, projection.name, projection.version)
    return count


async def park(connection: Connection, projection: Projection, events: Sequence[ParkedEvent]) -> None:
    """Park events in the transaction of the checkpoint; one that is parked already stays as it is."""
    rows = [
        (
            projection.name,
            projection.version,
            event.record.partition,
            event.record.position,
            event.record.tenant_id,
            event.record.order_id,
            event.record.sequence,
            event.record.type,
            event.record.schema_version,
            event.record.event_id,
            event.record.recorded_at,
            event.reason,
            event.retry_from,
            event.error,
        )
        for event in events
    ]
    await connection.execute(_PARK, *(list(column) for column in zip(*rows, strict=True)))


def dead_letter(row: asyncpg.Record) -> DeadLetter:
    """Return a row of the table as a dead letter."""
    return DeadLetter(**dict(row))
