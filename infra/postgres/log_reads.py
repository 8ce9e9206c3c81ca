"""Reads of the log inside a caller's own transaction: whether events exist, and whole streams by their ids.

`EventStore` reads on connections of its own; a projection needs the same facts on the connection that carries its
transaction, for many streams at once.
"""

from collections.abc import Collection, Sequence
from typing import TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from infra.events import StoredEvent

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

_EVENT_IDS = "SELECT position, event_id FROM harbor.events WHERE position = ANY($1::bigint[])"

COLUMNS = """position, log_id, tenant_id, stream_id, version, type, schema_version, event_id, occurred_at, recorded_at,
       actor, correlation_id, causation_id, traceparent, payload, leaf_hash"""

_AT = f"SELECT {COLUMNS} FROM harbor.events WHERE position = $1"

_STREAMS = f"SELECT {COLUMNS} FROM harbor.events WHERE stream_id = ANY($1::uuid[]) ORDER BY position"


async def event_ids(connection: Connection, positions: Collection[int]) -> dict[int, UUID]:
    """Give the id of the event at each position that the log holds."""
    return {row["position"]: row["event_id"] for row in await connection.fetch(_EVENT_IDS, list(positions))}


async def event_at(connection: Connection, position: int) -> StoredEvent | None:
    """Give the event at a position, or None past the head."""
    row = await connection.fetchrow(_AT, position)
    return None if row is None else stored_event(row)


async def read_streams(connection: Connection, stream_ids: Collection[UUID]) -> Sequence[StoredEvent]:
    """Give all events of some streams, by position."""
    return [stored_event(row) for row in await connection.fetch(_STREAMS, list(stream_ids))]


def stored_event(row: asyncpg.Record) -> StoredEvent:
    """Give the event of a row that selects `COLUMNS`."""
    return StoredEvent(
        position=row["position"],
        log_id=row["log_id"],
        tenant_id=row["tenant_id"],
        stream_id=row["stream_id"],
        version=row["version"],
        type=row["type"],
        schema_version=row["schema_version"],
        event_id=row["event_id"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        actor=row["actor"],
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        traceparent=row["traceparent"],
        payload=row["payload"],
        leaf_hash=row["leaf_hash"],
    )
