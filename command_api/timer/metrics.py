"""Metrics of the timer."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class ExpiryMetrics:
    """The timer's metrics; a registry of its own lets several timers live in one test."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.commands = Counter(
            "harbor_expiry_commands", "due orders that were asked to expire, by outcome", ["outcome"], registry=registry
        )
        self.position = Gauge(
            "harbor_expiry_position", "position of the log up to which due times are known", registry=registry
        )
        self.late_s = Gauge(
            "harbor_expiry_late_seconds", "how late the oldest due order was asked, last time", registry=registry
        )
