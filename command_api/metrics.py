"""Prometheus metrics of the command side. `infra.event_store` measures how long appends take."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class CommandMetrics(Collector):
    """Commands by type and outcome: `done`, `refused`, `replayed` or `error`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._commands: dict[tuple[str, str], int] = {}
        registry.register(self)

    def count(self, kind: str, outcome: str, commands: int = 1) -> None:
        """Count commands of one kind that ended alike."""
        self._commands[kind, outcome] = self._commands.get((kind, outcome), 0) + commands

    def collect(self) -> Iterator[Metric]:
        """Return what was counted so far."""
        commands = CounterMetricFamily("harbor_commands", "Commands handled", labels=["type", "outcome"])
        for labels, count in self._commands.items():
            commands.add_metric(list(labels), count)
        yield commands
