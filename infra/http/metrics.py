"""Prometheus metrics of an HTTP service: counted in plain numbers, converted when Prometheus scrapes them.

The library's own counters and histograms take several locks, some 3 us a request; a service has one event loop, so
plain numbers are as exact and cost a tenth of that.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUNDS: Final = (*(str(bound) for bound in _BUCKETS_S), "+Inf")
_METHODS: Final = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})
UNMATCHED: Final = "unmatched"
"""Label of requests that matched no route: made-up addresses must not become label values."""


class HttpMetrics(Collector):
    """Requests by route template, method and status, their duration, and how many are in flight."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._requests: dict[tuple[str, str, int], int] = {}
        self._durations: dict[tuple[str, str], _Durations] = {}
        self.in_flight: Callable[[], int] = int
        """Called at each scrape for the number of requests being handled."""
        registry.register(self)

    def observe(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Count one request. `route` is a template such as `/api/v1/orders/{order_id}`."""
        if method not in _METHODS:
            method = "OTHER"
        labels = (route, method, status)
        self._requests[labels] = self._requests.get(labels, 0) + 1
        durations = self._durations.get((route, method))
        if durations is None:
            durations = self._durations[route, method] = _Durations()
        durations.counts[bisect_left(_BUCKETS_S, duration_s)] += 1
        durations.sum_s += duration_s

    def collect(self) -> Iterator[Metric]:
        """Return the counts so far."""
        requests = CounterMetricFamily("harbor_http_requests", "Requests handled", labels=["route", "method", "status"])
        for (route, method, status), count in self._requests.items():
            requests.add_metric([route, method, str(status)], count)
        yield requests
        durations = HistogramMetricFamily(
            "harbor_http_request_duration_seconds",
            "Time from the headers to the end of the response",
            labels=["route", "method"],
        )
        for labels, seen in self._durations.items():
            buckets = list(zip(_BOUNDS, map(float, accumulate(seen.counts)), strict=True))
            durations.add_metric(list(labels), buckets, seen.sum_s)
        yield durations
        yield GaugeMetricFamily("harbor_http_requests_in_flight", "Requests being handled", self.in_flight())


class _Durations:
    """Number of requests in each bucket (the last one has no bound), and the sum of their seconds."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * len(_BOUNDS)
        self.sum_s = 0.0
