"""What the projection worker counts, served by its ops port at /metrics."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

APPLIED: Final = Counter("harbor_projection_events", "Events applied", ["projection"])
PARKED: Final = Counter("harbor_projection_parked", "Events parked in dead letters", ["projection", "reason"])
FOREIGN: Final = Counter("harbor_projection_foreign_records", "Topic records that are no event of ours", ["reason"])
REPEATS: Final = Counter("harbor_projection_repeats", "Records dropped because they were applied before")
REBALANCES: Final = Counter("harbor_projection_rebalances", "Times partitions were assigned")
MISSED: Final = Counter("harbor_projection_missed", "Times the topic lacked events and the event store supplied them")
FENCED: Final = Counter("harbor_projection_fenced", "Partitions given up: checkpoints taken over or set back")
FAILURES: Final = Counter("harbor_projection_failures", "Steps that failed and are tried again", ["cause"])
HALTED: Final = Gauge("harbor_projection_halted", "1: events of too many orders fail, nothing is applied")
BATCH_EVENTS: Final = Histogram(
    "harbor_projection_batch_events", "Events in one transaction", buckets=(1, 5, 10, 50, 100, 500, 1000, 2000, 5000)
)
APPLY_SECONDS: Final = Histogram(
    "harbor_projection_apply_seconds",
    "Seconds one transaction took",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
VISIBLE_SECONDS: Final = Histogram(
    "harbor_projection_visible_seconds",
    "Seconds from the append of a batch's newest event until it is visible",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300),
)
LAG: Final = Gauge(
    "harbor_projection_lag_records", "Records of the partition not yet read; absent while unknown", ["partition"]
)
PARTITIONS: Final = Gauge("harbor_projection_partitions", "Partitions this worker owns")
