"""Makes partitions before they are needed, and drops those of recorded responses older than a week.

The command service runs `keep_partitions` in the background. When it cannot do its work, a metric and a log line say so
weeks before the first append would fail.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from infra.event_store.metrics import EVENTS_LEFT, MAINTENANCE_FAILED, RESPONSES_LEFT_S
from infra.observability.reasons import reason_of
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.postgres.pool import Pool

EVENTS_ALARM = 1_000_000
RESPONSES_ALARM = timedelta(days=1)
_MAINTAIN = "SELECT events_left, responses_left, dropped FROM harbor.maintain_partitions()"
_LOOK = "SELECT events_left, responses_left, '{}'::text[] AS dropped FROM harbor.partitions_ahead()"


@dataclass(frozen=True, slots=True)
class PartitionsReport:
    """How far ahead partitions exist, and which expired ones were dropped."""

    events_left: int
    responses_left: timedelta
    dropped: tuple[str, ...]

    @property
    def is_alarming(self) -> bool:
        """Return whether somebody must look now."""
        return self.events_left < EVENTS_ALARM or self.responses_left < RESPONSES_ALARM


async def maintain(pool: Pool) -> PartitionsReport:
    """Make the next partitions, drop expired ones, set the metrics. Safe to repeat and to run in several processes.

    Raises:
        asyncpg.PostgresError, OSError: it could not be done now.
    """
    return await _reported(pool, _MAINTAIN)


async def look(pool: Pool) -> PartitionsReport:
    """Return how far ahead partitions exist and set the metrics; changes nothing. Raises what `maintain` raises."""
    return await _reported(pool, _LOOK)


async def keep_partitions(pool: Pool, reported: Callable[[PartitionsReport], None], *, every_s: float = 600.0) -> None:
    """Run `maintain` now and every `every_s` seconds until cancelled; a failure is counted, logged and tried again.

    `reported` is called with each report, for readiness. When partitions cannot be made, the report still says how far
    ahead they exist, so that the alarm comes before the last of them is full.
    """
    log = structlog.get_logger()
    while True:
        report: PartitionsReport | None = None
        try:
            report = await maintain(pool)
        except ANY_DATABASE_ERROR as error:
            MAINTENANCE_FAILED.inc()
            log.warning("partitions.failed", reason=reason_of(error))
            with contextlib.suppress(*ANY_DATABASE_ERROR):
                report = await look(pool)
        if report is not None:
            reported(report)
            if report.is_alarming:
                log.error("partitions.short", events_left=report.events_left, responses_left=str(report.responses_left))
            if report.dropped:
                log.info("partitions.dropped", names=list(report.dropped))
        await asyncio.sleep(every_s)


async def _reported(pool: Pool, sql: str) -> PartitionsReport:
    row = await pool.fetchrow(sql)
    if row is None:
        raise LookupError("a function returned no row")
    report = PartitionsReport(row["events_left"], row["responses_left"], tuple(row["dropped"]))
    EVENTS_LEFT.set(report.events_left)
    RESPONSES_LEFT_S.set(report.responses_left.total_seconds())
    return report
