"""What the append measures about itself."""

from prometheus_client import Counter, Gauge, Histogram

BATCH_COMMANDS = Histogram(
    "harbor_append_batch_commands", "Commands in one append call", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
BATCH_SECONDS = Histogram(
    "harbor_append_seconds",
    "Seconds one append call took, commit included",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
)
QUEUED = Gauge("harbor_append_queued", "Commands that wait for their outcome")
RESENT = Counter("harbor_append_resent_total", "Batches sent again because the answer was lost or not possible")
EVENTS_LEFT = Gauge("harbor_partitions_events_left", "Positions for which a partition exists; alarm below 1 million")
RESPONSES_LEFT_S = Gauge(
    "harbor_partitions_responses_left_seconds",
    "Seconds ahead for which partitions of recorded responses exist; alarm below 1 day",
)
MAINTENANCE_FAILED = Counter("harbor_partitions_maintenance_failed_total", "Runs of partition maintenance that failed")
