"""Turns on one order: first come, first served, and nobody who leaves stops the others."""

import asyncio
from uuid import UUID

import pytest

from command_api.handling.order_locks import OrderLocks, TooManyWaitingError

ORDER = UUID(int=1)


async def worker(
    order_locks: OrderLocks, name: str, log: list[str], order: UUID = ORDER, tenant: str = "acme.test"
) -> None:
    async with order_locks.take(tenant, order):
        log.append(f"{name} begins")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        log.append(f"{name} ends")


async def test_commands_on_one_order_run_one_after_the_other_in_the_order_of_arrival() -> None:
    order_locks, log = OrderLocks(), list[str]()

    await asyncio.gather(*(worker(order_locks, name, log) for name in "abc"))

    assert log == ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]


async def test_other_orders_and_other_tenants_do_not_wait() -> None:
    order_locks, log = OrderLocks(), list[str]()

    await asyncio.gather(
        worker(order_locks, "a", log),
        worker(order_locks, "b", log, UUID(int=2)),
        worker(order_locks, "c", log, tenant="globex.test"),
    )

    assert log[:3] == ["a begins", "b begins", "c begins"]


async def test_cancelling_a_waiting_command_neither_ends_the_running_one_nor_starts_another() -> None:
    order_locks, log, may_end = OrderLocks(), list[str](), asyncio.Event()

    async def hold() -> None:
        async with order_locks.take("acme.test", ORDER):
            log.append("a begins")
            await may_end.wait()
            log.append("a ends")

    holding = asyncio.create_task(hold())
    leaving = [asyncio.create_task(worker(order_locks, name, log)) for name in "bc"]
    last = asyncio.create_task(worker(order_locks, "d", log))
    await asyncio.sleep(0)
    for each in leaving:
        each.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    while_a_is_at_work = list(log)
    may_end.set()
    await asyncio.gather(holding, last)

    assert while_a_is_at_work == ["a begins"]
    assert [each.cancelled() for each in leaving] == [True, True]
    assert log == ["a begins", "a ends", "d begins", "d ends"]


async def test_a_command_that_fails_or_is_cancelled_releases_the_order() -> None:
    order_locks, log = OrderLocks(), list[str]()

    async def fail() -> None:
        async with order_locks.take("acme.test", ORDER):
            await asyncio.sleep(0)
            raise KeyError("mine")

    async def hang() -> None:
        async with order_locks.take("acme.test", ORDER):
            await asyncio.Event().wait()

    failing, hanging = asyncio.create_task(fail()), asyncio.create_task(hang())
    after = asyncio.create_task(worker(order_locks, "c", log))
    await asyncio.wait([failing])
    await asyncio.sleep(0)
    hanging.cancel()
    await after

    assert log == ["c begins", "c ends"]
    assert isinstance(failing.exception(), KeyError)


async def test_no_lock_is_kept_for_an_idle_order() -> None:
    order_locks = OrderLocks()

    await asyncio.gather(*(worker(order_locks, "a", [], UUID(int=number // 3)) for number in range(30)))

    assert len(order_locks) == 0


async def test_beyond_the_longest_queue_a_command_is_refused_at_once() -> None:
    order_locks, log = OrderLocks(max_waiting=2), list[str]()
    inside = [asyncio.create_task(worker(order_locks, name, log)) for name in "abc"]
    await asyncio.sleep(0)

    with pytest.raises(TooManyWaitingError):
        await worker(order_locks, "d", log)
    await worker(order_locks, "e", log, UUID(int=2))
    await asyncio.gather(*inside)
    await worker(order_locks, "f", log)

    assert [line for line in log if line.endswith("begins")] == [f"{name} begins" for name in "aebcf"]
