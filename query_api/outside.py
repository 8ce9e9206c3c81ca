"""The view from outside: what waits for the relay, the workers, the dispatcher and the timer, which may all be dead.

One look every few seconds, each with a deadline, however often somebody scrapes. The log says once what stands, and
once what moves again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.clock import monotonic_s
from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of
from infra.postgres.backlogs import OutsideView, standing
from infra.postgres.failures import ANY_DATABASE_ERROR

LOOK_EVERY_S: Final = 5.0
LOOK_DEADLINE_S: Final = 3.0
OLD_S: Final = 15.0
"""A look that is older than this says nothing of now."""


class OutsideMetrics(Collector):
    """Gauges of the last look; absent while it failed or is old, since unknown is not zero."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._view: OutsideView | None = None
        self._seen_s = 0.0
        registry.register(self)

    def show(self, view: OutsideView | None) -> None:
        """Show this look; None: what waits is unknown."""
        self._view, self._seen_s = view, monotonic_s()

    def collect(self) -> Iterator[Metric]:
        """Return the gauges."""
        view = self._view
        if view is None or monotonic_s() - self._seen_s > OLD_S:
            return
        yield _gauge("harbor_log_position", "Last position of the log", view.head)
        events = GaugeMetricFamily("harbor_backlog_events", "Events that wait for a process", labels=["of"])
        oldest = GaugeMetricFamily("harbor_backlog_oldest_seconds", "How long the first of them waits", labels=["of"])
        for each in view.backlogs:
            events.add_metric([each.of], each.events)
            oldest.add_metric([each.of], each.oldest_s)
        yield from (events, oldest)
        undelivered = GaugeMetricFamily(
            "harbor_webhook_oldest_undelivered_seconds",
            "Age of the oldest delivery that is still to be made",
            labels=["endpoints"],
        )
        undelivered.add_metric(["all"], view.undelivered_s)
        undelivered.add_metric(["enabled"], view.undelivered_enabled_s)
        yield undelivered
        yield _gauge(
            "harbor_webhook_dispatcher_silent_seconds",
            "Since when no dispatcher has looked for due deliveries",
            view.dispatcher_silent_s,
        )
        yield _gauge(
            "harbor_webhook_endpoints_without_secret",
            "Endpoints whose secret the dispatcher could not open",
            view.unreadable_secrets,
        )
        yield _gauge("harbor_expiry_overdue_seconds", "Since when an order should have expired", view.timer_late_s)
        yield _gauge("harbor_parked_orders", "Orders parked in dead letters, per projection", view.parked_orders)


class OutsideWatch:
    """Looks again and again with `look`, shows it, and logs what begins to stand and what moves again."""

    def __init__(self, look: Callable[[], Awaitable[OutsideView]], metrics: OutsideMetrics) -> None:
        self._look = look
        self._metrics = metrics
        self._standing: frozenset[str] = frozenset()
        self._before: OutsideView | None = None

    async def run(self) -> None:
        """Look until canceled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once; a look that fails is tried again and says nothing of what stands."""
        try:
            async with asyncio.timeout(LOOK_DEADLINE_S):
                view = await self._look()
        except ANY_DATABASE_ERROR as error:
            get_logger().debug("outside.unknown", reason=reason_of(error))
            self._metrics.show(None)
            return
        self._metrics.show(view)
        found = standing(view, self._before)
        self._before = view
        for name in found.keys() - self._standing:
            get_logger().error("outside.standing", of=name, reason=found[name])
        for name in self._standing - found.keys():
            get_logger().info("outside.moving", of=name)
        self._standing = frozenset(found)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value)
