"""A dispatcher that cannot work says so: with a wrong key it is not ready, makes no attempt, and shows from outside."""

import math

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from projections.webhooks.metrics import DispatcherMetrics
from tests.support.services.servers import Database
from tests.support.services.webhooks import (
    LoopbackReceiver,
    create_endpoint,
    dispatching,
    queue_orders,
    read_deliveries,
    wait_for_states,
)
from tests.support.waiting import eventually

LONG_AGO = "UPDATE harbor.webhook_dispatch SET last_turn_at = '2026-01-01'"
IS_SILENT = "SELECT last_turn_at = '2026-01-01' AS is_silent FROM harbor.webhook_dispatch"


async def test_with_a_wrong_key_nothing_is_attempted_and_with_the_right_one_all_is_delivered(
    database: Database,
) -> None:
    async with LoopbackReceiver() as receiver:
        await create_endpoint(database, receiver.url)
        await database.fetch(LONG_AGO)
        # Before anything is queued.
        with capture_logs() as captured:
            async with dispatching(database, key=bytes(32)) as wrong:
                await eventually(lambda: wrong.waiting_for() == ("secrets_key_wrong",))
                await queue_orders(database, 1)
        [delivery] = await read_deliveries(database)
        [silent] = await database.fetch(IS_SILENT)

        async with dispatching(database) as right:
            await wait_for_states(database, {"delivered": 1})
            assert right.waiting_for() == ()
        [works] = await database.fetch(IS_SILENT)

    [line] = [line for line in captured if line["log_level"] == "error"]
    assert "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY does not open the endpoints' secrets" in line["reason"]
    assert (delivery["state"], delivery["attempt_count"]) == ("pending", 0)
    assert (silent["is_silent"], works["is_silent"]) == (True, False)


async def test_one_secret_that_cannot_be_opened_stops_only_its_endpoint(database: Database) -> None:
    async with LoopbackReceiver() as receiver:
        await create_endpoint(database, receiver.url)
        await create_endpoint(database, f"{receiver.url}/damaged")
        await database.fetch("UPDATE harbor.webhook_endpoints SET sealed_secret = 'x' WHERE url LIKE '%damaged'")
        await queue_orders(database, 1)
        async with dispatching(database) as dispatcher:
            await wait_for_states(database, {"delivered": 1, "pending": 1})
            assert dispatcher.waiting_for() == ()
        [noted] = await database.fetch("SELECT unreadable_secrets FROM harbor.webhook_dispatch")
    assert noted["unreadable_secrets"] == 1, "others see that its deliveries wait"


def test_a_queue_that_was_not_read_is_unknown_and_not_empty() -> None:
    registry = CollectorRegistry()
    DispatcherMetrics(registry)

    shown = [registry.get_sample_value(f"harbor_webhook_{name}") for name in ("queued", "dead", "oldest_due_seconds")]
    assert all(value is not None and math.isnan(value) for value in shown)
