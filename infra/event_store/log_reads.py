"""Reads of the log by position inside a caller's own transaction, and how a row becomes a `StoredEvent`.

`EventStore` reads on connections of its own; a worker checks what came over the topic on the connection that carries
its transaction.
"""

from collections.abc import Collection
from uuid import UUID

import asyncpg

from infra.event_store.protocol import StoredEvent
from infra.postgres.connection import Connection

COLUMNS = """position, log_id, tenant_id, stream_id, version, type, schema_version, event_id, occurred_at, recorded_at,
       actor, correlation_id, causation_id, traceparent, payload, leaf_hash"""

_IDENTITIES = """
SELECT position, event_id, stream_id, version, tenant_id FROM harbor.events WHERE position = ANY($1::bigint[])
"""
_BETWEEN = f"SELECT {COLUMNS} FROM harbor.events WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3"
_AT = f"SELECT {COLUMNS} FROM harbor.events WHERE position = ANY($1::bigint[])"

Identity = tuple[UUID, UUID, int, str]
"""Event id, stream id, version and tenant id: which event it is and whose."""


async def identities(connection: Connection, positions: Collection[int]) -> dict[int, Identity]:
    """Return which event the log holds at each position; positions past the head are absent."""
    rows = await connection.fetch(_IDENTITIES, list(positions))
    return {row["position"]: (row["event_id"], row["stream_id"], row["version"], row["tenant_id"]) for row in rows}


async def events_at(connection: Connection, positions: Collection[int]) -> dict[int, StoredEvent]:
    """Return the event at each position; positions past the head are absent."""
    return {row["position"]: stored_event(row) for row in await connection.fetch(_AT, list(positions))}


async def events_between(connection: Connection, after: int, upto: int, limit: int) -> list[StoredEvent]:
    """Return at most `limit` events with `after` < position <= `upto`, ascending."""
    return [stored_event(row) for row in await connection.fetch(_BETWEEN, after, upto, limit)]


def stored_event(row: asyncpg.Record) -> StoredEvent:
    """Return the event of a row that selects `COLUMNS`."""
    return StoredEvent(*row)  # COLUMNS are in the order of its fields; this is the inner loop of relay and replay
