"""Leases: at most one process acts, standbys take over within the time to live, and each holder has a new epoch.

Only the epoch protects; the lease merely avoids duplicate work. Two holders may overlap, since a process can be frozen
between its check and its act. So a process that acts under a lease passes the epoch along, or does only
what may be repeated.

No two machines' clocks are compared. The holder believes in its lease for half of the time to live, on its own
monotonic clock, counted from *before* the renewal was sent. A standby takes over when the row has not moved for three
quarters of it: by its own monotonic clock, or by the database's, which lets a process that has just started take a dead
lease at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

from infra.clock import monotonic_s
from infra.observability.logs import get_logger
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.postgres.pool import Pool

_RENEW: Final = 1 / 6
_BELIEVE: Final = 1 / 2
_TAKE_OVER: Final = 3 / 4
_LOOK: Final = 1 / 8

# $1 name
_LOOK_AT = """
SELECT holder, renewals, clock_timestamp() - renewed_at AS silence FROM harbor.leases WHERE name = $1
"""
# $1 name, $2 holder
_FIRST = """
INSERT INTO harbor.leases (name, holder, epoch, renewals, renewed_at) VALUES ($1, $2, 1, 0, clock_timestamp())
ON CONFLICT (name) DO NOTHING
RETURNING epoch
"""
# $1 name, $2 holder, $3 renewals as they were when the lease looked dead
_TAKE = """
UPDATE harbor.leases
SET holder = $2, epoch = epoch + 1, renewals = renewals + 1, renewed_at = clock_timestamp()
WHERE name = $1 AND renewals = $3
RETURNING epoch
"""
# $1 name, $2 epoch
_RENEWAL = """
UPDATE harbor.leases SET renewals = renewals + 1, renewed_at = clock_timestamp()
WHERE name = $1 AND epoch = $2 AND holder IS NOT NULL
RETURNING epoch
"""
# $1 name, $2 epoch
_RELEASE = """
UPDATE harbor.leases SET holder = NULL, renewals = renewals + 1 WHERE name = $1 AND epoch = $2
"""


class Lease:
    """One process' hold on a named lease. `holder` is unique per process; `ttl_s` is the time to live in seconds."""

    def __init__(
        self,
        pool: Pool,
        *,
        name: str,
        holder: str,
        ttl_s: float,
        clock: Callable[[], float] = monotonic_s,
    ) -> None:
        self._pool = pool
        self._name = name
        self._holder = holder
        self._ttl_s = ttl_s
        self._clock = clock
        self._epoch = 0
        self._believed_until = float("-inf")
        self._seen: tuple[int, float] | None = None
        self._holder_seen: str | None = None

    @property
    def epoch(self) -> int:
        """The fencing epoch under which the lease is or was last held; 0 before the first."""
        return self._epoch

    @property
    def seems_ours(self) -> bool:
        """Whether the last look found this process itself: PostgreSQL has not heard yet that it let go."""
        return self._holder_seen == self._holder

    @property
    def holder_seen(self) -> str | None:
        """Who held the lease when `try_acquire` last found it held."""
        return self._holder_seen

    @property
    def look_every_s(self) -> float:
        """Seconds a standby lets pass between two attempts."""
        return self._ttl_s * _LOOK

    def is_held(self) -> bool:
        """Whether the lease is still ours, as far as this process can know without asking."""
        return self._clock() < self._believed_until

    async def try_acquire(self) -> bool:
        """Take the lease if it is free or its holder is silent; a look that finds it held writes nothing.

        Raises:
            one of `ANY_DATABASE_ERROR`: the database cannot be asked.
        """
        asked_at = self._clock()
        row = await self._pool.fetchrow(_LOOK_AT, self._name, timeout=self._ttl_s)
        if row is None:
            epoch = await self._pool.fetchval(_FIRST, self._name, self._holder, timeout=self._ttl_s)
        elif row["holder"] is None or self._is_silent(row["renewals"], row["silence"], asked_at):
            epoch = await self._pool.fetchval(_TAKE, self._name, self._holder, row["renewals"], timeout=self._ttl_s)
        else:
            self._holder_seen = row["holder"]
            return False
        if epoch is None:
            return False
        self._epoch, self._seen = epoch, None
        self._believed_until = asked_at + self._ttl_s * _BELIEVE
        return True

    async def renew(self) -> bool:
        """Renew; `False` means that somebody else holds it now.

        Raises:
            one of `ANY_DATABASE_ERROR`: the database cannot be asked; the lease stays believed until its time is over.
        """
        asked_at = self._clock()
        epoch = await self._pool.fetchval(_RENEWAL, self._name, self._epoch, timeout=self._ttl_s * _BELIEVE)
        if epoch is None:
            self._believed_until = float("-inf")
            return False
        self._believed_until = asked_at + self._ttl_s * _BELIEVE
        return True

    async def release(self) -> None:
        """Give the lease up, so that a standby need not wait; does nothing when it is no longer ours."""
        self._believed_until = float("-inf")
        with suppress(*ANY_DATABASE_ERROR):
            await self._pool.execute(_RELEASE, self._name, self._epoch, timeout=self._ttl_s)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew an acquired lease in the background while the block runs, then release it. Watch `is_held` inside."""
        renewing = asyncio.create_task(self._keep(), name=f"lease-{self._name}")
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
            await self.release()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._ttl_s * _RENEW)
            try:
                if not await self.renew():
                    get_logger().warning("lease.lost", lease=self._name, epoch=self._epoch)
                    return
            except ANY_DATABASE_ERROR:
                if not self.is_held():
                    get_logger().warning("lease.unrenewed", lease=self._name, epoch=self._epoch)
                    return

    def _is_silent(self, renewals: int, silence: timedelta, asked_at: float) -> bool:
        patience_s = self._ttl_s * _TAKE_OVER
        if self._seen is None or self._seen[0] != renewals:
            self._seen = (renewals, asked_at)
        return silence.total_seconds() >= patience_s or asked_at - self._seen[1] >= patience_s
