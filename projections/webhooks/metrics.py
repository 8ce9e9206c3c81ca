"""The metrics of the dispatcher."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 60.0, 600.0)


class DispatcherMetrics:
    """The dispatcher's metrics; a registry of its own lets several dispatchers live in one test."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "harbor_webhook_attempts", "attempts made, by outcome class", ["outcome"], registry=registry
        )
        self.attempt_s = Histogram(
            "harbor_webhook_attempt_seconds", "how long an attempt took", buckets=_SECONDS, registry=registry
        )
        self.first_attempt_s = Histogram(
            "harbor_webhook_first_attempt_seconds",
            "from the commit of an event to the start of its first attempt",
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("harbor_webhook_in_flight", "attempts under way or not yet recorded", registry=registry)
        self.queued = Gauge(
            "harbor_webhook_queued", "deliveries waiting or leased; stops counting at 100,000", registry=registry
        )
        self.dead = Gauge("harbor_webhook_dead", "dead letters; stops counting at 100,000", registry=registry)
        self.oldest_due_s = Gauge(
            "harbor_webhook_oldest_due_seconds", "how long the oldest due delivery has waited", registry=registry
        )
        self.breakers_open = Gauge("harbor_webhook_breakers_open", "endpoints whose breaker is open", registry=registry)
        self.unreadable = Gauge(
            "harbor_webhook_unreadable_secrets", "endpoints whose secret cannot be decrypted", registry=registry
        )
        self.forget()
        self.errors = Counter("harbor_webhook_queue_errors", "failed reads and writes of the queue", registry=registry)

    def forget(self) -> None:
        """Show nothing of the queue: before the first look, and while it cannot be read, it is unknown."""
        for gauge in (self.queued, self.dead, self.oldest_due_s, self.unreadable):
            gauge.set(float("nan"))
