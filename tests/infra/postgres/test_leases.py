"""Leases on real PostgreSQL, with clocks that the test moves."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import asyncpg
import pytest

from infra.postgres.leases import Lease
from infra.postgres.pool import Pool
from tests.support.services.servers import Database
from tests.support.waiting import eventually

TTL_S = 3.0
AN_HOUR_PASSES = "UPDATE harbor.leases SET renewed_at = renewed_at - interval '1 hour'"


class Clock:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(database.worker_url, min_size=1, max_size=4) as pool:
        yield pool


def lease(pool: Pool, holder: str, clock: Clock, ttl_s: float = TTL_S) -> Lease:
    return Lease(pool, name="relay", holder=holder, ttl_s=ttl_s, clock=clock)


async def test_a_released_lease_is_free_at_once_under_a_new_epoch(pool: Pool) -> None:
    clock = Clock()
    first, second = lease(pool, "first", clock), lease(pool, "second", clock)
    assert await first.try_acquire()
    assert (first.is_held(), first.epoch, await second.try_acquire()) == (True, 1, False)
    await first.release()
    assert not first.is_held()
    assert await second.try_acquire()
    assert second.epoch == 2


async def test_a_holder_that_does_not_renew_stops_believing_before_anybody_may_take_over(pool: Pool) -> None:
    holder_clock, standby_clock = Clock(), Clock()
    holder, standby = lease(pool, "holder", holder_clock), lease(pool, "standby", standby_clock)
    await holder.try_acquire()
    assert not await standby.try_acquire()
    for clock in (holder_clock, standby_clock):
        clock.now_s += TTL_S * 0.6
    assert not holder.is_held()
    assert not await standby.try_acquire()
    standby_clock.now_s += TTL_S * 0.2
    assert await standby.try_acquire()
    assert standby.epoch == 2


async def test_a_holder_that_renews_keeps_it_whatever_the_standbys_clock_says(pool: Pool) -> None:
    holder_clock, standby_clock = Clock(), Clock()
    holder, standby = lease(pool, "holder", holder_clock), lease(pool, "standby", standby_clock)
    await holder.try_acquire()
    for _ in range(3):
        assert not await standby.try_acquire()
        standby_clock.now_s += TTL_S * 10
        assert await holder.renew()
    assert not await standby.try_acquire()


async def test_a_lease_long_dead_is_taken_by_a_process_that_has_just_started(pool: Pool) -> None:
    await lease(pool, "dead", Clock()).try_acquire()
    await pool.execute(AN_HOUR_PASSES)
    assert await lease(pool, "new", Clock()).try_acquire()


async def test_a_holder_that_was_replaced_learns_it_at_its_next_renewal_and_cannot_release_the_new_one(
    pool: Pool,
) -> None:
    old, new = lease(pool, "old", Clock()), lease(pool, "new", Clock())
    await old.try_acquire()
    await pool.execute(AN_HOUR_PASSES)
    await new.try_acquire()
    assert not await old.renew()
    assert not old.is_held()
    await old.release()
    assert await new.renew()


async def test_of_many_that_see_a_dead_lease_one_takes_it(pool: Pool) -> None:
    await lease(pool, "dead", Clock()).try_acquire()
    await pool.execute(AN_HOUR_PASSES)
    rivals = [lease(pool, f"rival {number}", Clock()) for number in range(8)]
    assert sum(await asyncio.gather(*(rival.try_acquire() for rival in rivals))) == 1


async def test_a_standby_that_looks_as_often_as_it_says_takes_over_within_the_time_to_live(pool: Pool) -> None:
    clock = Clock()
    await lease(pool, "silent", Clock()).try_acquire()
    standby = lease(pool, "standby", clock)

    began_s = clock.now_s
    while not await standby.try_acquire():
        clock.now_s += standby.look_every_s

    assert clock.now_s - began_s <= TTL_S


async def test_a_kept_lease_outlives_its_time_and_is_released_at_the_end(pool: Pool) -> None:
    clock = Clock()
    keeper = lease(pool, "keeper", clock, ttl_s=0.6)
    await keeper.try_acquire()
    async with keeper.kept():
        for _ in range(2):
            clock.now_s += 0.4 * 0.6  # twice that is past what it believes in without a renewal
            renewals = await _renewals(pool)
            # The renewal after next was asked for after the clock had moved, and has been answered by the one after it.
            await eventually(partial(_has_renewed, pool, renewals + 3))
            assert keeper.is_held()
    assert await lease(pool, "next", Clock()).try_acquire()


async def _renewals(pool: Pool) -> int:
    renewals: int = await pool.fetchval("SELECT renewals FROM harbor.leases WHERE name = 'relay'")
    return renewals


async def _has_renewed(pool: Pool, times: int) -> bool:
    return await _renewals(pool) >= times
