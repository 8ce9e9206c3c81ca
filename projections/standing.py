"""Whether the projections make progress, whoever should make it.

A worker that owns nothing, or that was replaced behind its back, fails nowhere. The checkpoints show it: the first
event that waits stays the same.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from infra.clock import monotonic_s
from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.postgres.backlogs import STANDING_S, Backlog, projection_backlogs
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.postgres.pool import Pool

LOOK_EVERY_S: Final = 5.0
LOOK_DEADLINE_S: Final = 3.0


class Standing:
    """Judges looks at the backlogs: a projection stands while its first waiting event stays the same; pure."""

    def __init__(self, after_s: float = STANDING_S) -> None:
        self._after_s = after_s
        self._since: dict[str, tuple[int, float]] = {}

    def learn(self, backlogs: Sequence[Backlog], now_s: float) -> list[Backlog]:
        """Take a look at `now_s` (monotonic seconds); return the backlogs that stand."""
        before, self._since = self._since, {}
        found: list[Backlog] = []
        for each in backlogs:
            if each.events:
                first, since_s = before.get(each.of, (0, now_s))
                since_s = since_s if first == each.first_position else now_s
                self._since[each.of] = each.first_position, since_s
                if now_s - since_s >= self._after_s:
                    found.append(each)
        return found


class StandingWatch:
    """Looks at the backlogs of these projections every few seconds; logs once when they stand, once when they move."""

    def __init__(
        self, pool: Pool, partitions: int, projections: Sequence[str], clock: Callable[[], float] = monotonic_s
    ) -> None:
        self._pool = pool
        self._partitions = partitions
        self._projections = projections
        self._clock = clock
        self._standing = Standing()
        self._found: list[Backlog] = []

    def waiting_for(self) -> tuple[NotReadyReason, ...]:
        """Return whether a projection stands, as of the last look."""
        return ("projection_standing",) if self._found else ()

    async def run(self) -> None:
        """Look until canceled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once; without PostgreSQL nothing is known, and readiness says that."""
        try:
            async with asyncio.timeout(LOOK_DEADLINE_S), self._pool.acquire() as connection:
                backlogs = await projection_backlogs(connection, self._partitions, self._projections)
        except ANY_DATABASE_ERROR:
            return
        found = self._standing.learn(backlogs, self._clock())
        if found and not self._found:
            get_logger().error(
                "projection.standing",
                projections=[each.of for each in found],
                first_position=min(each.first_position for each in found),
                reason=f"{max(each.events for each in found)} events wait, the first for "
                f"{max(each.oldest_s for each in found):.0f} s, and no worker applies it: another one may hold its "
                "partition without working, or the relay may not have sent it",
            )
        elif self._found and not found:
            get_logger().info("projection.moving")
        self._found = found
