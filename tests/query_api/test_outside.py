"""The query service shows what waits for the other processes, from one look every few seconds."""

from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from infra.postgres.backlogs import Backlog, OutsideView
from query_api.outside import OutsideMetrics, OutsideWatch
from tests.support.services.query_service import query_service
from tests.support.services.servers import Database
from tests.support.waiting import eventually

CALM = OutsideView(7, (Backlog("relay"), Backlog("orders")), 0.0, 0.0, 0.0, 0, 0.0, 0)
STANDS = replace(CALM, backlogs=(Backlog("relay"), Backlog("orders", 3, 5, 47.2)), parked_orders=2)


class Looks:
    """Looks as they come: a view, or an error."""

    def __init__(self) -> None:
        self.next: OutsideView | Exception = CALM

    async def __call__(self) -> OutsideView:
        if isinstance(self.next, Exception):
            raise self.next
        return self.next


def exposed(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


async def test_what_stands_is_shown_and_logged_once_and_what_moves_again_too() -> None:
    registry, looks = CollectorRegistry(), Looks()
    watch = OutsideWatch(looks, OutsideMetrics(registry))
    with capture_logs() as captured:
        await watch.look()
        looks.next = STANDS
        await watch.look()
        await watch.look()
        shown = exposed(registry)
        looks.next = TimeoutError()
        await watch.look()
        unknown = exposed(registry)
        looks.next = CALM
        await watch.look()

    assert 'harbor_backlog_oldest_seconds{of="orders"} 47.2' in shown
    assert 'harbor_backlog_events{of="relay"} 0.0' in shown
    assert "harbor_parked_orders 2.0" in shown
    assert unknown == "", "what is not known is not 0"
    assert [(line["event"], line["of"]) for line in captured if line["log_level"] != "debug"] == [
        ("outside.standing", "orders"),
        ("outside.moving", "orders"),
    ]


async def test_the_service_serves_the_view_whatever_other_process_runs(database: Database) -> None:
    async with query_service(database) as service:

        async def served() -> bool:
            text = (await service.http.get("/metrics")).text
            return 'harbor_backlog_events{of="webhook_fanout"} 0.0' in text and "harbor_log_position 0.0" in text

        await eventually(served)
