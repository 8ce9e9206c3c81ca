"""Timers on PostgreSQL: a follower that was overtaken changes none, and a timer set again is not forgotten."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from infra.postgres.pool import open_pool
from infra.postgres.timers import Timer, Timers
from infra.settings import PostgresSettings
from tests.support.orders.builders import NOW
from tests.support.orders.spec import ORDER_ID
from tests.support.services.servers import Database

KEY = ("acme.test", ORDER_ID)
SOON, LATER, LAST = (NOW + timedelta(hours=hours) for hours in (1, 2, 3))


@pytest.fixture
async def timers(database: Database) -> AsyncIterator[Timers]:
    settings = PostgresSettings(url=SecretStr(database.command_url))
    async with await open_pool(settings, application_name="timers-test") as pool:
        yield Timers(pool)


async def test_a_follower_that_was_overtaken_moves_no_timer_and_not_itself(timers: Timers) -> None:
    followed = await timers.follow(0, 2, {KEY: LATER})
    late = [await timers.follow(0, 1, {KEY: SOON}), await timers.follow(1, 2, {KEY: None})]

    assert (followed, late, await timers.position()) == (True, [False, False], 2)
    assert await timers.due(LAST, 10) == [Timer(*KEY, LATER)]


@pytest.mark.parametrize("has_failed", [False, True])
async def test_a_timer_that_was_set_again_meanwhile_is_neither_forgotten_nor_postponed(
    timers: Timers, has_failed: bool
) -> None:
    await timers.follow(0, 1, {KEY: SOON})
    acted_on = await timers.due(SOON, 10)
    await timers.follow(1, 2, {KEY: LATER})

    await (timers.postpone(acted_on, LAST) if has_failed else timers.done(acted_on))

    assert await timers.due(SOON, 10) == []
    assert await timers.due(LATER, 10) == [Timer(*KEY, LATER)]


async def test_a_timer_is_only_one_tenants(timers: Timers) -> None:
    theirs = ("globex.test", ORDER_ID)
    await timers.follow(0, 1, {KEY: SOON, theirs: SOON})

    await timers.done([Timer(*KEY, SOON)])
    await timers.follow(1, 2, {KEY: None})

    assert await timers.due(SOON, 10) == [Timer(*theirs, SOON)]
