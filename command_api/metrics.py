"""Prometheus metrics of the command side. How long appends take is measured where it happens, in `infra.postgres`."""

from prometheus_client import CollectorRegistry, Counter


class CommandMetrics:
    """Commands by type and by what became of them: `done`, `refused`, `replayed` or `error`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._commands = Counter("harbor_commands", "Commands handled", ["type", "outcome"], registry=registry)
        self._children: dict[tuple[str, str], Counter] = {}

    def count(self, kind: str, outcome: str, commands: int = 1) -> None:
        """Count commands of one kind that ended alike."""
        child = self._children.get((kind, outcome))
        if child is None:
            child = self._children[(kind, outcome)] = self._commands.labels(kind, outcome)
        child.inc(commands)
