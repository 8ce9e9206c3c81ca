import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from infra.postgres.connection import DedicatedConnection
from infra.postgres.wakeup import Wakeup
from tests.support.services.servers import Database
from tests.support.waiting import eventually


@pytest.fixture
async def wakeup(database: Database) -> AsyncIterator[Wakeup]:
    async with Wakeup(lambda: asyncpg.connect(database.worker_url), ["one", "two"]) as wakeup:
        assert await wakeup.wait(0) == [], "the first wait returns at once: what came before it was heard is unknown"
        yield wakeup


async def test_notifications_arrive_in_order_with_channel_and_payload(
    wakeup: Wakeup, admin: DedicatedConnection
) -> None:
    await admin.execute("SELECT pg_notify('one', 'a'), pg_notify('two', 'b'), pg_notify('three', 'c')")
    heard: list[tuple[str, str]] = []
    while len(heard) < 2:
        heard += await wakeup.wait(30)
    assert heard == [("one", "a"), ("two", "b")]


async def test_a_quiet_wait_ends_with_its_timeout_which_is_stretched_to_a_second(wakeup: Wakeup) -> None:
    assert await wakeup.wait(0.01) == []
    assert (wakeup.idle_timeout_s(0.1), wakeup.idle_timeout_s(5.0)) == (1.0, 5.0)


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), RuntimeError("a setting is not safe")])
async def test_whatever_keeps_it_from_listening_polls_go_on(error: Exception) -> None:
    async def refused() -> DedicatedConnection:
        raise error

    async with Wakeup(refused, ["one"]) as wakeup:
        assert not wakeup.healthy
        assert wakeup.idle_timeout_s(0.1) == 0.1
        assert await wakeup.wait(0.01) == []


async def test_after_a_lost_connection_it_listens_again_and_wakes_the_waiter(
    wakeup: Wakeup, database: Database, admin: DedicatedConnection
) -> None:
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
        database.name,
    )
    await eventually(lambda: not wakeup.healthy)
    async with asyncio.timeout(60):
        assert await wakeup.wait(30) == []
    assert wakeup.healthy
    await admin.execute("NOTIFY one, 'again'")
    assert await wakeup.wait(30) == [("one", "again")]


async def test_wake_ends_the_wait_of_a_task_that_is_to_stop(wakeup: Wakeup) -> None:
    waiting = asyncio.create_task(wakeup.wait(3600))
    await asyncio.sleep(0)
    wakeup.wake()
    async with asyncio.timeout(60):
        assert await waiting == []
