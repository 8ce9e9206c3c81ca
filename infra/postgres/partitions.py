"""Partitions exist before they are needed, and those of answers older than a week go away.

The command service runs `keep_partitions` beside its server. When it cannot do its work, a metric and a log line say so
weeks before the first append would fail.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from infra.postgres.append_metrics import COMMANDS_LEFT_S, EVENTS_LEFT, MAINTENANCE_FAILED
from infra.postgres.failures import UNREACHABLE
from infra.postgres.pool import Pool

EVENTS_ALARM = 1_000_000
COMMANDS_ALARM = timedelta(days=1)
_MAINTAIN = "SELECT events_left, commands_left, dropped FROM harbor.maintain_partitions()"


@dataclass(frozen=True, slots=True)
class PartitionsReport:
    """How far ahead partitions exist, and which partitions of old answers were dropped."""

    events_left: int
    commands_left: timedelta
    dropped: tuple[str, ...]

    @property
    def is_alarming(self) -> bool:
        """Tell whether somebody must look now."""
        return self.events_left < EVENTS_ALARM or self.commands_left < COMMANDS_ALARM


async def maintain(pool: Pool) -> PartitionsReport:
    """Make the next partitions, drop expired ones, set the metrics. Safe to repeat and to run in several processes.

    Raises:
        asyncpg.PostgresError, OSError: it could not be done now.
    """
    row = await pool.fetchrow(_MAINTAIN)
    if row is None:
        raise LookupError("harbor.maintain_partitions gave no row")
    report = PartitionsReport(row["events_left"], row["commands_left"], tuple(row["dropped"]))
    EVENTS_LEFT.set(report.events_left)
    COMMANDS_LEFT_S.set(report.commands_left.total_seconds())
    return report


async def keep_partitions(
    pool: Pool, *, every_s: float = 600.0, reported: Callable[[PartitionsReport], None] | None = None
) -> None:
    """Run `maintain` now and every `every_s` seconds until cancelled; a failure is counted, logged and tried again.

    `reported` is told each report, for readiness.
    """
    log = structlog.get_logger()
    while True:
        try:
            report = await maintain(pool)
        except UNREACHABLE as error:
            MAINTENANCE_FAILED.inc()
            log.warning("partitions.failed", reason=str(error))
        else:
            if reported is not None:
                reported(report)
            if report.is_alarming:
                log.error("partitions.short", events_left=report.events_left, commands_left=str(report.commands_left))
            if report.dropped:
                log.info("partitions.dropped", names=list(report.dropped))
        await asyncio.sleep(every_s)
