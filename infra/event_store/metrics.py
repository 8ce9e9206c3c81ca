"""What the append and the keeper of partitions measure about themselves. A process that has them calls `expose`."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

BATCH_COMMANDS: Final = Histogram(
    "harbor_append_batch_commands",
    "Commands in one append call",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
    registry=None,
)
BATCH_SECONDS: Final = Histogram(
    "harbor_append_seconds",
    "Seconds one append call took, commit included",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
    registry=None,
)
QUEUED: Final = Gauge("harbor_append_queued", "Commands that wait for their outcome", registry=None)
RESENT: Final = Counter(
    "harbor_append_resent_total",
    "Batches sent again: the outcome was lost, or PostgreSQL could not append",
    registry=None,
)
EVENTS_LEFT: Final = Gauge(
    "harbor_partitions_events_left", "Positions for which a partition exists; alarm below 1 million", registry=None
)
RESPONSES_LEFT_S: Final = Gauge(
    "harbor_partitions_responses_left_seconds",
    "Seconds ahead for which partitions of recorded responses exist; alarm below 1 day",
    registry=None,
)
MAINTENANCE_FAILED: Final = Counter(
    "harbor_partitions_maintenance_failed_total", "Runs of partition maintenance that failed", registry=None
)
APPEND: Final = (BATCH_COMMANDS, BATCH_SECONDS, QUEUED, RESENT)
"""For a process that appends."""

PARTITIONS: Final = (EVENTS_LEFT, RESPONSES_LEFT_S, MAINTENANCE_FAILED)
"""For a process that keeps partitions ahead."""


def expose(registry: CollectorRegistry, collectors: Iterable[Collector]) -> None:
    """Show these from now on: zeros of a process that never appends would only mislead."""
    for collector in collectors:
        registry.register(collector)
