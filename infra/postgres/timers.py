"""Timers: which streams time will change, and when; kept by a follower of the log, found by index.

The position of the follower moves by compare-and-set in the transaction that writes what it read, so two followers
never both apply an event and none is left out. A timer is only a hint to look: the command it leads to decides again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

from infra.postgres.pool import Pool

StreamKey: TypeAlias = tuple[str, UUID]
"""Tenant id and stream id."""

_POSITION = "SELECT position FROM harbor.timer_position"
# $1 the position as it was seen, $2 the new one
_MOVE = "UPDATE harbor.timer_position SET position = $2 WHERE position = $1 RETURNING position"
# $1 tenants, $2 streams, $3 when each is due
_SET = """
INSERT INTO harbor.timers AS t (tenant_id, stream_id, due_at, attempt_at)
SELECT tenant_id, stream_id, due_at, due_at
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS s (tenant_id, stream_id, due_at)
ON CONFLICT (stream_id, tenant_id) DO UPDATE SET due_at = excluded.due_at, attempt_at = excluded.attempt_at
"""
# $1 tenants, $2 streams
_CLEAR = """
DELETE FROM harbor.timers AS t USING unnest($1::text[], $2::uuid[]) AS c (tenant_id, stream_id)
WHERE t.stream_id = c.stream_id AND t.tenant_id = c.tenant_id
"""
# $1 now, $2 how many
_DUE = """
SELECT tenant_id, stream_id, due_at FROM harbor.timers WHERE attempt_at <= $1 AND due_at <= $1
ORDER BY attempt_at LIMIT $2
"""
# $1 tenants, $2 streams, $3 when each was due; a timer that was set again meanwhile stays
_DONE = """
DELETE FROM harbor.timers AS t
USING unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS d (tenant_id, stream_id, due_at)
WHERE t.stream_id = d.stream_id AND t.tenant_id = d.tenant_id AND t.due_at = d.due_at
"""
# $1 tenants, $2 streams, $3 when each was due, $4 when to try again
_POSTPONE = """
UPDATE harbor.timers AS t SET attempt_at = $4
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS p (tenant_id, stream_id, due_at)
WHERE t.stream_id = p.stream_id AND t.tenant_id = p.tenant_id AND t.due_at = p.due_at
"""


class Timer(NamedTuple):
    """A stream that time changes at `due_at`."""

    tenant_id: str
    stream_id: UUID
    due_at: datetime


class Timers:
    """The timers in PostgreSQL. Every method may raise one of `infra.postgres.failures.ANY_DATABASE_ERROR`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def position(self) -> int:
        """Return the position up to which the log was followed."""
        found: int = await self._pool.fetchval(_POSITION)
        return found

    async def follow(self, seen: int, upto: int, changes: Mapping[StreamKey, datetime | None]) -> bool:
        """Move from position `seen` to `upto` and set each timer, or clear it (None).

        Does nothing and returns False when the follower is not at `seen` any more.
        """
        set_ = [(*key, due_at) for key, due_at in changes.items() if due_at is not None]
        clear = [key for key, due_at in changes.items() if due_at is None]
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_MOVE, seen, upto) is None:
                return False
            if set_:
                await connection.execute(_SET, *zip(*set_, strict=True))
            if clear:
                await connection.execute(_CLEAR, *zip(*clear, strict=True))
        return True

    async def due(self, now: datetime, limit: int) -> list[Timer]:
        """Return at most `limit` timers that are due, those first that have waited longest."""
        rows = await self._pool.fetch(_DUE, now, limit)
        # Not every encoder accepts asyncpg's own subclass of UUID.
        return [Timer(row["tenant_id"], UUID(int=row["stream_id"].int), row["due_at"]) for row in rows]

    async def done(self, timers: Sequence[Timer]) -> None:
        """Forget timers that were acted on; one that was set to another time meanwhile stays."""
        if timers:
            await self._pool.execute(_DONE, *zip(*timers, strict=True))

    async def postpone(self, timers: Sequence[Timer], until: datetime) -> None:
        """Let timers that failed wait, so that they do not delay the others."""
        if timers:
            await self._pool.execute(_POSTPONE, *zip(*timers, strict=True), until)
