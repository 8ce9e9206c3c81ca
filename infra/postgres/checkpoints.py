"""Checkpoints of projections: taken with an epoch, moved by compare-and-set in the read model's own transaction.

A worker takes its partitions by raising `owner_epoch`. Every later move names the epoch and the position it believes
in; a row that does not match is not updated, and the worker rolls back and gives the partition up. That fences off a
worker that was frozen or cut off, without comparing clocks (decision 0070).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from infra.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class CheckpointKey:
    """Which projection, in which version, over which partition."""

    projection: str
    version: int
    partition: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one projection has come in one partition, and who owns it."""

    key: CheckpointKey
    next_offset: int | None
    last_position: int
    applied_count: int
    owner_epoch: int


@dataclass(frozen=True, slots=True)
class Advance:
    """A move of one checkpoint: `seen` is the row as the worker believes it to be."""

    seen: Checkpoint
    last_position: int
    applied: int
    next_offset: int | None
    last_recorded_at: datetime | None


_COLUMNS = "c.projection, c.version, c.partition, c.next_offset, c.last_position, c.applied_count, c.owner_epoch"

# Rows are made on first sight and locked in key order, so that two workers that take the same rows cannot deadlock.
_TAKE = f"""
WITH wanted AS (
    SELECT projection, version, partition
    FROM unnest($1::text[], $2::int[], $3::smallint[]) AS w (projection, version, partition)
    ORDER BY projection, version, partition
)
INSERT INTO harbor.checkpoints AS c (projection, version, partition, owner_epoch)
SELECT projection, version, partition, 1 FROM wanted
ON CONFLICT (projection, version, partition)
DO UPDATE SET owner_epoch = c.owner_epoch + 1, updated_at = clock_timestamp()
RETURNING {_COLUMNS}
"""

_ADVANCE = f"""
UPDATE harbor.checkpoints AS c
SET last_position = m.last_position,
    next_offset = coalesce(m.next_offset, c.next_offset),
    applied_count = c.applied_count + m.applied,
    last_recorded_at = coalesce(m.last_recorded_at, c.last_recorded_at),
    updated_at = clock_timestamp()
FROM unnest($1::text[], $2::int[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::timestamptz[])
     AS m (projection, version, partition, owner_epoch, seen_position, last_position, applied, next_offset,
           last_recorded_at)
WHERE c.projection = m.projection AND c.version = m.version AND c.partition = m.partition
  AND c.owner_epoch = m.owner_epoch AND c.last_position = m.seen_position
RETURNING {_COLUMNS}
"""

_READ = f"""
SELECT {_COLUMNS} FROM harbor.checkpoints AS c
JOIN unnest($1::text[], $2::int[], $3::smallint[]) AS w (projection, version, partition)
USING (projection, version, partition)
"""

_ADD_APPLIED = """
UPDATE harbor.checkpoints SET applied_count = applied_count + $4, updated_at = clock_timestamp()
WHERE projection = $1 AND version = $2 AND partition = $3
"""

_LOCK = f"""
SELECT {_COLUMNS} FROM harbor.checkpoints AS c WHERE projection = $1 AND version = $2 AND partition = $3 FOR UPDATE
"""


async def take(connection: Connection, keys: Collection[CheckpointKey]) -> dict[CheckpointKey, Checkpoint]:
    """Become the owner of `keys`: raise each epoch and return the rows.

    Waits for a transaction of the present owner that is under way; its later ones will move nothing.
    """
    rows = await connection.fetch(
        _TAKE, [key.projection for key in keys], [key.version for key in keys], [key.partition for key in keys]
    )
    return {checkpoint.key: checkpoint for checkpoint in map(_checkpoint, rows)}


async def read(connection: Connection, keys: Collection[CheckpointKey]) -> dict[CheckpointKey, Checkpoint]:
    """Return the rows of `keys` that exist, and change nothing."""
    rows = await connection.fetch(
        _READ, [key.projection for key in keys], [key.version for key in keys], [key.partition for key in keys]
    )
    return {checkpoint.key: checkpoint for checkpoint in map(_checkpoint, rows)}


async def advance(connection: Connection, moves: Sequence[Advance]) -> dict[CheckpointKey, Checkpoint]:
    """Move checkpoints and return the rows that moved; one that is missing belongs to another worker now.

    The caller rolls its transaction back when any is missing.
    """
    rows = await connection.fetch(
        _ADVANCE,
        [move.seen.key.projection for move in moves],
        [move.seen.key.version for move in moves],
        [move.seen.key.partition for move in moves],
        [move.seen.owner_epoch for move in moves],
        [move.seen.last_position for move in moves],
        [move.last_position for move in moves],
        [move.applied for move in moves],
        [move.next_offset for move in moves],
        [move.last_recorded_at for move in moves],
    )
    return {checkpoint.key: checkpoint for checkpoint in map(_checkpoint, rows)}


async def lock(connection: Connection, key: CheckpointKey) -> Checkpoint | None:
    """Lock one row until the transaction ends, so that its owner cannot move it; return None if it does not exist."""
    row = await connection.fetchrow(_LOCK, key.projection, key.version, key.partition)
    return None if row is None else _checkpoint(row)


async def add_applied(connection: Connection, key: CheckpointKey, count: int) -> None:
    """Count events that were applied outside the stream (a filled gap); moves no position."""
    await connection.execute(_ADD_APPLIED, key.projection, key.version, key.partition, count)


def _checkpoint(row: asyncpg.Record) -> Checkpoint:
    return Checkpoint(
        CheckpointKey(row["projection"], row["version"], row["partition"]),
        row["next_offset"],
        row["last_position"],
        row["applied_count"],
        row["owner_epoch"],
    )
