"""Prometheus metrics of an HTTP service. Children are looked up once per (route, method, status) and then kept."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS: Final = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})
UNMATCHED: Final = "unmatched"
"""Label of requests that no route took: addresses made up by clients must not become label values."""


class HttpMetrics:
    """Requests by route template, method and status, their duration, and how many are in flight."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._requests = Counter(
            "harbor_http_requests", "Requests answered", ["route", "method", "status"], registry=registry
        )
        self._duration_s = Histogram(
            "harbor_http_request_duration_seconds",
            "Time from the headers to the end of the answer",
            ["route", "method"],
            registry=registry,
            buckets=_BUCKETS_S,
        )
        self._in_flight = Gauge("harbor_http_requests_in_flight", "Requests being handled", registry=registry)
        self._requests_by_labels: dict[tuple[str, str, int], Counter] = {}
        self._duration_by_labels: dict[tuple[str, str], Histogram] = {}

    def observe(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Count one answered request. `route` is a template such as `/api/v1/orders/{order_id}`."""
        if method not in _METHODS:
            method = "OTHER"
        counter = self._requests_by_labels.get((route, method, status))
        if counter is None:
            counter = self._requests.labels(route, method, str(status))
            self._requests_by_labels[(route, method, status)] = counter
        counter.inc()
        histogram = self._duration_by_labels.get((route, method))
        if histogram is None:
            histogram = self._duration_s.labels(route, method)
            self._duration_by_labels[(route, method)] = histogram
        histogram.observe(duration_s)

    def watch_in_flight(self, requests: Callable[[], int]) -> None:
        """Ask `requests` how many are being handled whenever somebody looks."""
        self._in_flight.set_function(requests)

    def exposition(self) -> bytes:
        """Give everything in the registry in Prometheus' text format."""
        return generate_latest(self.registry)
