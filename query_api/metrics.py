"""Prometheus metrics of the query service: how far each read model is behind, asked when somebody scrapes."""

from functools import partial
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Gauge

from query_api.freshness import VERSIONS, Freshness
from query_api.outside import OutsideMetrics

_MS_PER_S: Final = 1000


class QueryMetrics(NamedTuple):
    """All metrics of the query service beside those of its requests."""

    freshness: "FreshnessMetrics"
    outside: OutsideMetrics


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
            self._lag_s.labels(projection).set_function(partial(_lag_s, freshness, projection))
            self._position.labels(projection).set_function(partial(freshness.position, projection))


def _lag_s(freshness: Freshness, projection: str) -> float:
    lag_ms = freshness.lag_ms(projection)
    return float("nan") if lag_ms is None else lag_ms / _MS_PER_S
