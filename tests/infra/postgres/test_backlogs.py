"""What waits shows in the tables, without a word from the processes that should work on it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from infra.partitioning import partition_of
from infra.postgres.backlogs import STANDING_S, Backlog, OutsideView, look, standing
from infra.postgres.connection import DedicatedConnection
from projections.catalogue import PROJECTIONS
from tests.support.event_store.log_filler import fill_log
from tests.support.services.projecting import caught_up, store_worker
from tests.support.services.relaying import PARTITIONS
from tests.support.services.servers import Database
from tests.support.services.webhooks import ACME, create_endpoint, queue_orders

NAMES = [each.name for each in PROJECTIONS]
TOPIC = "orders.events.v1"
AN_HOUR_AGO = "clock_timestamp() - interval '1 hour'"


@pytest.fixture
async def reader(database: Database) -> AsyncIterator[DedicatedConnection]:
    """Return a connection with the rights of the query service."""
    connection = await asyncpg.connect(database.query_url)
    yield connection
    await connection.close()


async def view_of(reader: DedicatedConnection, topic: str | None = None) -> OutsideView:
    return await look(reader, topic=topic, partitions=PARTITIONS, projections=NAMES)


async def make_older(database: Database) -> None:
    """Make everything that was appended an hour old."""
    await database.fetch("ALTER TABLE harbor.batches DISABLE TRIGGER USER")
    await database.fetch(f"UPDATE harbor.batches SET committed_at = {AN_HOUR_AGO}")


async def test_an_empty_system_waits_for_nothing(reader: DedicatedConnection) -> None:
    view = await view_of(reader, TOPIC)

    assert view.backlogs == (Backlog("relay"), *(Backlog(name) for name in NAMES))
    assert (view.head, view.undelivered_s, view.undelivered_enabled_s, view.timer_late_s) == (0, 0, 0, 0)
    assert standing(view) == {}


async def test_events_that_no_relay_and_no_worker_take_wait_from_the_first_on(
    database: Database, reader: DedicatedConnection
) -> None:
    await fill_log(database.command_url, 5)
    await make_older(database)

    view = await view_of(reader, TOPIC)

    assert [(each.of, each.events, each.first_position) for each in view.backlogs] == [
        (name, 5, 1) for name in ("relay", *NAMES)
    ]
    assert all(3600 <= each.oldest_s < 5000 for each in view.backlogs)
    # Whoever waits for the relay is not to blame.
    assert list(standing(view)) == ["relay"]
    assert standing(view)["relay"].endswith("see /readyz and the log of the relay")
    assert standing(await view_of(reader)).keys() == set(NAMES)


async def test_what_moves_catches_up_however_old_its_events_are(reader: DedicatedConnection) -> None:
    view = await view_of(reader, TOPIC)

    def behind(events: int, position: int) -> OutsideView:
        return replace(view, backlogs=(Backlog("relay", events, position, 3600.0),))

    assert standing(behind(900, 101), behind(1000, 1)) == {}
    assert standing(behind(1001, 1), behind(1000, 1)).keys() == {"relay"}
    assert standing(behind(1000, 1), view).keys() == {"relay"}, "nothing waited before: nothing has moved"


async def test_a_partition_that_stands_shows_while_all_others_go_on(
    database: Database, reader: DedicatedConnection
) -> None:
    await fill_log(database.command_url, 40)
    async with store_worker(database):
        await caught_up(database)
    assert [each.events for each in (await view_of(reader)).backlogs] == [0, 0, 0]
    # One partition lost its owner after its third event, long before the newest event of the others.
    [stuck] = await database.fetch(
        "UPDATE harbor.checkpoints SET last_position = 0, applied_count = 0 "
        "WHERE projection = 'orders' AND partition = 1 RETURNING old.applied_count AS events, old.last_position AS last"
    )
    first = await first_of_partition(database, 1)

    found = {each.of: each for each in (await view_of(reader)).backlogs}

    assert (found["orders"].events, found["orders"].first_position) == (stuck["events"], first)
    assert found["order_timeline"].events == 0


async def first_of_partition(database: Database, partition: int) -> int:
    rows = await database.fetch("SELECT position, stream_id FROM harbor.events ORDER BY position")
    return next(int(row["position"]) for row in rows if partition_of(row["stream_id"], PARTITIONS) == partition)


async def test_deliveries_of_enabled_endpoints_are_told_from_those_of_others(
    database: Database, reader: DedicatedConnection
) -> None:
    await create_endpoint(database, "https://one.example/")
    await create_endpoint(database, "https://two.example/")
    await queue_orders(database, 2)
    await database.fetch("UPDATE harbor.webhook_endpoints SET status = 'disabled' WHERE url LIKE '%one%'")
    await database.fetch(
        f"UPDATE harbor.webhook_deliveries SET created_at = {AN_HOUR_AGO} "
        "WHERE endpoint_id = (SELECT endpoint_id FROM harbor.webhook_endpoints WHERE status = 'disabled')"
    )
    disabled = await view_of(reader)
    await database.fetch("UPDATE harbor.webhook_endpoints SET status = 'enabled'")
    enabled = await view_of(reader)
    await database.fetch(f"UPDATE harbor.webhook_dispatch SET last_turn_at = {AN_HOUR_AGO}")
    abandoned = await view_of(reader)

    assert (disabled.undelivered_s > 3599, disabled.undelivered_enabled_s < 3599) == (True, True)
    assert enabled.undelivered_enabled_s > 3599
    assert enabled.dispatcher_silent_s < 3599
    assert "webhooks" in standing(abandoned)
    assert ACME.partner_id not in str(standing(abandoned))


async def test_an_order_that_should_have_expired_shows(database: Database, reader: DedicatedConnection) -> None:
    await database.fetch(
        "INSERT INTO harbor.timers (tenant_id, stream_id, due_at, attempt_at) "
        f"VALUES ('acme.test', gen_random_uuid(), {AN_HOUR_AGO}, {AN_HOUR_AGO})"
    )

    assert (await view_of(reader)).timer_late_s > STANDING_S
