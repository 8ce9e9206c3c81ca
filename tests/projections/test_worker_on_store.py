"""A worker that tails the event store: exact read models, whatever is killed, fenced or exchanged."""

from pathlib import Path

from tests.support.log_filler import fill_log
from tests.support.projecting import applied_at_least, caught_up, differences, query, start_worker_process, store_worker
from tests.support.servers import Database
from tests.support.waiting import eventually


async def test_read_models_equal_a_fold_of_the_log(database: Database) -> None:
    await fill_log(database.command_url, 40, "authorize", "capture")
    await fill_log(database.command_url, 20, "authorize", "cancel", tenant_id="globex.live")

    async with store_worker(database, batch=37):
        await caught_up(database)

    assert await differences(database) == []
    rows = await query(database, "SELECT status, count(*) AS orders FROM harbor_read.orders_v1 GROUP BY status")
    assert {row["status"]: row["orders"] for row in rows} == {"captured": 40, "canceled": 20}


async def test_events_appended_while_it_runs_become_visible(database: Database) -> None:
    async with store_worker(database):
        await fill_log(database.command_url, 5)
        await caught_up(database)
        await fill_log(database.command_url, 5, "authorize")
        await caught_up(database)

    assert await differences(database) == []


async def test_a_standby_takes_over_and_nothing_is_counted_twice(database: Database) -> None:
    await fill_log(database.command_url, 30, "authorize")
    async with store_worker(database, batch=7) as first, store_worker(database, batch=7):
        await eventually(lambda: query(database, "SELECT FROM harbor_read.orders_v1 LIMIT 1"))
        await first.stopped()
        await fill_log(database.command_url, 30, "authorize")
        await caught_up(database)

    assert await differences(database) == []


async def test_a_worker_killed_in_mid_stream_and_started_again_loses_and_doubles_nothing(
    database: Database, tmp_path: Path
) -> None:
    await fill_log(database.command_url, 400, "authorize", "capture")
    settings = {"HARBOR_WORKER__BATCH": "5", "HARBOR_WORKER__LEASE_TTL_S": "1"}
    for killed_after in (1, 300):
        worker = await start_worker_process(database, tmp_path / "worker.log", **settings)
        await applied_at_least(database, killed_after)
        worker.kill()
        await worker.wait()

    async with store_worker(database):
        await caught_up(database)

    assert await differences(database) == []
