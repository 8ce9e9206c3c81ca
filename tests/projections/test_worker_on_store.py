"""A worker that tails the event store: exact read models, whatever is killed, fenced or exchanged."""

import signal
from pathlib import Path

import asyncpg

from projections.projection import LogRecord
from projections.read_models import orders
from projections.read_models.orders import OrdersProjection
from tests.support.event_store.log_filler import fill_log
from tests.support.services.projecting import (
    applied_at_least,
    caught_up,
    differences,
    log_of,
    start_worker_process,
    store_worker,
)
from tests.support.services.servers import Database
from tests.support.waiting import eventually


async def test_read_models_equal_a_fold_of_the_log(database: Database) -> None:
    await fill_log(database.command_url, 40, "authorize", "capture")
    await fill_log(database.command_url, 20, "authorize", "cancel", tenant_id="globex.live")

    async with store_worker(database, batch=37):
        await caught_up(database)
        await fill_log(database.command_url, 5)  # while it runs
        await caught_up(database)

    assert await differences(database) == []
    rows = await database.fetch("SELECT status, count(*) AS orders FROM harbor_read.orders_v1 GROUP BY status")
    assert {row["status"]: row["orders"] for row in rows} == {"captured": 40, "canceled": 20, "pending": 5}


async def test_a_standby_takes_over_and_nothing_is_counted_twice(database: Database) -> None:
    await fill_log(database.command_url, 30, "authorize")
    async with store_worker(database, batch=7) as first, store_worker(database, batch=7):
        await eventually(lambda: database.fetch("SELECT FROM harbor_read.orders_v1 LIMIT 1"))
        await first.stopped()
        await fill_log(database.command_url, 30, "authorize")
        await caught_up(database)

    assert await differences(database) == []


async def test_a_worker_killed_in_mid_stream_and_started_again_loses_and_doubles_nothing(
    database: Database, tmp_path: Path
) -> None:
    await fill_log(database.command_url, 200, "authorize", "capture")
    settings = {"HARBOR_WORKER__BATCH": "5", "HARBOR_WORKER__LEASE_TTL_S": "1"}
    worker = await start_worker_process(database, tmp_path / "worker.log", **settings)
    await applied_at_least(database, 100)
    worker.kill()
    await worker.wait()

    async with store_worker(database):
        await caught_up(database)

    assert await differences(database) == []


async def test_a_worker_frozen_past_its_lease_writes_nothing_when_it_wakes(database: Database, tmp_path: Path) -> None:
    await fill_log(database.command_url, 200, "authorize", "capture")
    settings = {"HARBOR_WORKER__BATCH": "3", "HARBOR_WORKER__LEASE_TTL_S": "1"}
    zombie = await start_worker_process(database, tmp_path / "zombie.log", **settings)
    await applied_at_least(database, 3)
    zombie.send_signal(signal.SIGSTOP)

    async def holds_nothing() -> bool:
        """End what waits for the frozen client, as the server would in time: it holds its checkpoints until then."""
        mine = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'harbor-projections'"
        await database.fetch(
            f"SELECT pg_terminate_backend(pid) {mine} AND state <> 'idle' AND wait_event_type = 'Client'"
        )
        return not await database.fetch(f"SELECT {mine} AND state <> 'idle'")  # what runs yet is cut in half soon

    try:
        await eventually(holds_nothing)
        async with store_worker(database):
            await caught_up(database)
            zombie.send_signal(signal.SIGCONT)
            await fill_log(database.command_url, 30, "cancel")
            await caught_up(database)
    finally:
        zombie.kill()
        await zombie.wait()

    assert await differences(database) == []


async def test_lost_connections_lose_and_double_nothing(database: Database) -> None:
    async with store_worker(database, batch=5):
        for _ in range(10):
            await fill_log(database.command_url, 10, "authorize")
            await database.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'harbor_worker_login' "
                "AND datname = current_database()"
            )
        await caught_up(database)

    assert await differences(database) == []


async def test_a_state_cached_by_other_code_is_folded_again_from_the_stream(database: Database) -> None:
    await fill_log(database.command_url, 5, "authorize", "cancel")
    log = [LogRecord.of(event, 0) for event in await log_of(database)]
    connection = await asyncpg.connect(database.worker_url)
    await OrdersProjection().apply(connection, log[:10])
    await connection.execute("UPDATE harbor_read.orders_v1 SET state = '{}'")

    await OrdersProjection().apply(connection, log[10:])

    rows = await connection.fetch(f"SELECT {', '.join(orders.COLUMNS)} FROM harbor_read.orders_v1")
    await connection.close()
    assert {tuple(row) for row in rows} == {orders.row_of(state, last) for state, last in orders.fold({}, log).values()}
