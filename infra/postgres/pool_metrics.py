"""How many connections the pools of this process hold, read from the pools when somebody scrapes."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.postgres.pool import Pool


class PoolMetrics(Collector):
    """Gauges over every pool in `watched`: connections in use, idle ones, and the most there may be."""

    def __init__(self) -> None:
        self.watched: set[Pool] = set()

    def collect(self) -> Iterator[Metric]:
        """Return the numbers of now; nothing while no pool is open, since unknown is not zero."""
        if not self.watched:
            return
        idle = sum(pool.get_idle_size() for pool in self.watched)
        connections = GaugeMetricFamily(
            "harbor_postgres_pool_connections", "Connections of the pool that are open", labels=["state"]
        )
        connections.add_metric(["in_use"], sum(pool.get_size() for pool in self.watched) - idle)
        connections.add_metric(["idle"], idle)
        yield connections
        most = sum(pool.get_max_size() for pool in self.watched)
        yield GaugeMetricFamily("harbor_postgres_pool_max_connections", "Connections the pool may open", most)


POOL_METRICS: Final = PoolMetrics()
REGISTRY.register(POOL_METRICS)
