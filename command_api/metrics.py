"""Prometheus metrics of the command side: what became of commands, and how long the append took."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Histogram

from infra import clock
from infra.events import AppendCommand, AppendOutcome, EventStore, StoredEvent

_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0, 5.0)


class CommandMetrics:
    """Commands by type and outcome (`done`, `refused`, `replayed`, `error`), and the seconds an append took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._commands = Counter("harbor_commands", "Commands handled", ["type", "outcome"], registry=registry)
        self._append_s = Histogram(
            "harbor_append_seconds",
            "Time from handing a command to the store until its outcome",
            registry=registry,
            buckets=_BUCKETS_S,
        )
        self._children: dict[tuple[str, str], Counter] = {}

    def command(self, kind: str, outcome: str) -> None:
        """Count one command."""
        child = self._children.get((kind, outcome))
        if child is None:
            child = self._children[(kind, outcome)] = self._commands.labels(kind, outcome)
        child.inc()

    def append(self, duration_s: float) -> None:
        """Count one append."""
        self._append_s.observe(duration_s)


class MeasuredStore:
    """An event store whose appends are timed; reads pass through."""

    def __init__(self, store: EventStore, metrics: CommandMetrics) -> None:
        self._store = store
        self._metrics = metrics

    async def append(self, command: AppendCommand) -> AppendOutcome:
        """Append, and observe how long the outcome took, whatever it was."""
        started_s = clock.monotonic_s()
        try:
            return await self._store.append(command)
        finally:
            self._metrics.append(clock.monotonic_s() - started_s)

    async def read_stream(
        self, tenant_id: str, stream_id: UUID, from_version: int = 1, to_version: int | None = None
    ) -> Sequence[StoredEvent]:
        """Give the events of one stream."""
        return await self._store.read_stream(tenant_id, stream_id, from_version, to_version)

    async def read_all(self, after_position: int, limit: int) -> Sequence[StoredEvent]:
        """Give events of the log."""
        return await self._store.read_all(after_position, limit)

    async def head(self) -> int:
        """Give the last position of the log."""
        return await self._store.head()
