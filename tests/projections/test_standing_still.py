"""A worker that makes no progress says so: its name is taken, or events wait and nobody applies them."""

import os
from dataclasses import dataclass

from structlog.testing import capture_logs

from infra.postgres.backlogs import STANDING_S, Backlog
from projections.catalogue import PROJECTIONS
from projections.standing import Standing, StandingWatch
from tests.support.event_store.log_filler import fill_log
from tests.support.services.projecting import caught_up, store_worker
from tests.support.services.relaying import PARTITIONS
from tests.support.services.servers import Database
from tests.support.waiting import eventually


@dataclass
class Clock:
    at_s: float = 0.0

    def __call__(self) -> float:
        return self.at_s


async def test_a_second_worker_under_the_same_name_waits_and_says_whose_it_is(database: Database) -> None:
    await fill_log(database.command_url, 5)
    with capture_logs() as captured:
        async with store_worker(database, instance_id="w-1") as first:
            await caught_up(database)
            async with store_worker(database, instance_id="w-1") as second:
                await eventually(lambda: second.worker.waiting_for() == ("instance_id_taken",))
                assert (len(first.worker.owned), len(second.worker.owned)) == (PARTITIONS, 0)
                assert first.worker.waiting_for() == ()
                await first.stopped()
                await fill_log(database.command_url, 5)
                await caught_up(database)
                await eventually(lambda: second.worker.waiting_for() == ())

    [reason] = [line["reason"] for line in captured if line.get("waiting_for") == "instance_id_taken"]
    assert f"HARBOR_WORKER__INSTANCE_ID=w-1 belongs to a worker that runs, process {os.getpid()} on " in reason


async def test_workers_of_other_names_do_not_mind_each_other(database: Database) -> None:
    async with store_worker(database, instance_id="w-1"), store_worker(database, instance_id="w-2") as second:
        await eventually(lambda: second.worker.waiting_for() == ())


async def test_a_worker_is_not_ready_while_events_wait_that_nobody_applies(database: Database) -> None:
    clock = Clock()
    async with store_worker(database) as running:
        watch = StandingWatch(running.pool, PARTITIONS, [each.name for each in PROJECTIONS], clock)
        await running.stopped()  # as good as dead, but the watch goes on
        await fill_log(database.command_url, 3)
        with capture_logs() as captured:
            for clock.at_s in (0.0, STANDING_S - 1):
                await watch.look()
                assert watch.waiting_for() == ()
            for clock.at_s in (STANDING_S + 1, STANDING_S + 6):
                await watch.look()
                assert watch.waiting_for() == ("projection_standing",)
            async with store_worker(database):
                await caught_up(database)
            await watch.look()
            assert watch.waiting_for() == ()

    events = [line["event"] for line in captured if line["event"] in {"projection.standing", "projection.moving"}]
    assert events == ["projection.standing", "projection.moving"]


def test_a_backlog_that_is_long_and_moves_does_not_stand() -> None:
    standing = Standing(after_s=10)

    assert [standing.learn([Backlog("orders", 500, position, 60.0)], position) for position in range(0, 60, 5)] == [
        []
    ] * 12
