"""Metrics of the relay."""

from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from infra import clock

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_EVENTS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000)


class RelayMetrics:
    """The relay's metrics; a registry of its own lets several relays live in one test."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.leader = Gauge("harbor_relay_leader", "1 while this process holds the lease", registry=registry)
        self.epoch = Gauge("harbor_relay_epoch", "epoch of its present or last lease", registry=registry)
        self.halted = Gauge(
            "harbor_relay_halted", "1: topic and store contradict each other, nothing is sent", registry=registry
        )
        self.lag_events = Gauge("harbor_relay_lag_events", "events committed and not yet published", registry=registry)
        self.position = Gauge("harbor_relay_position", "every event up to here is published", registry=registry)
        self.published = Counter("harbor_relay_published_events", "events acknowledged by Kafka", registry=registry)
        self.repeats = Counter(
            "harbor_relay_repeated_events", "events sent again after an unknown outcome", registry=registry
        )
        self.mended = Counter(
            "harbor_relay_mended_partitions",
            "partitions that had lost records: `filled` where only the end was gone, else `purged` and filled again",
            ["how"], registry=registry,
        )  # fmt: skip
        self.errors = Counter("harbor_relay_errors", "failed runs, by kind of error", ["error"], registry=registry)
        self.batch_events = Histogram(
            "harbor_relay_batch_events", "events in one flush", buckets=_EVENTS, registry=registry
        )
        self.publish_s = Histogram(
            "harbor_relay_publish_seconds", "from send to the last acknowledgement of a flush",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.commit_to_publish_s = Histogram(
            "harbor_relay_commit_to_publish_seconds", "age of the oldest event of a flush when it was acknowledged",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        age = Gauge(
            "harbor_relay_oldest_unsent_age_seconds", "age of the oldest event not yet published", registry=registry
        )
        age.set_function(self.oldest_unsent_age_s)
        self.oldest_unsent: datetime | None = None
        """When the oldest unpublished event was recorded; None when there is none."""

    def oldest_unsent_age_s(self) -> float:
        """Return the age in seconds of the oldest event not yet published; 0 when there is none."""
        if self.oldest_unsent is None:
            return 0.0
        return max(0.0, (clock.now() - self.oldest_unsent).total_seconds())
