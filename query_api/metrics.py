"""Prometheus metrics of the query service: how far each read model is behind, asked when somebody scrapes."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from query_api.freshness import VERSIONS, Freshness

_MS_PER_S: Final = 1000


class FreshnessMetrics:
    """Gauges per read model. They show nothing until `watch` was called."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lag_s = Gauge(
            "harbor_query_lag_seconds", "How far a read model is behind", ["projection"], registry=registry
        )
        self._position = Gauge(
            "harbor_query_read_position", "Position up to which all is applied", ["projection"], registry=registry
        )

    def watch(self, freshness: Freshness) -> None:
        """Show this freshness from now on."""
        for projection in VERSIONS:
            self._lag_s.labels(projection).set_function(_lag(freshness, projection))
            self._position.labels(projection).set_function(_position(freshness, projection))


def _lag(freshness: Freshness, projection: str) -> Callable[[], float]:
    def lag_s() -> float:
        lag_ms = freshness.lag_ms(projection)
        return float("nan") if lag_ms is None else lag_ms / _MS_PER_S

    return lag_s


def _position(freshness: Freshness, projection: str) -> Callable[[], float]:
    return lambda: float(freshness.position(projection))
