"""How many batches work and wait at once."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from command_api.slots import WAITING_PER_SLOT, BatchSlots
from infra.http.problems import Problem
from tests.support.waiting import eventually


async def test_so_many_work_at_once_some_wait_and_the_next_is_refused() -> None:
    slots, working, let_go = BatchSlots(at_once=2, wait_s=10.0), [0], asyncio.Event()

    async def batch() -> None:
        async with slots.entered():
            working[0] += 1
            await let_go.wait()

    batches = [asyncio.create_task(batch()) for _ in range(2 + 2 * WAITING_PER_SLOT)]
    await eventually(lambda: working == [2])
    with pytest.raises(Problem) as refused:
        slots.require_room()
    with pytest.raises(Problem):
        async with slots.entered():
            pass
    let_go.set()
    await asyncio.gather(*batches)

    assert (refused.value.kind.code, refused.value.headers["retry-after"]) == ("overloaded", "1")
    assert working == [2 + 2 * WAITING_PER_SLOT]
    slots.require_room()


async def test_one_that_waited_too_long_is_refused_and_takes_no_slot() -> None:
    slots = BatchSlots(at_once=1, wait_s=0.02)
    async with slots.entered():
        with pytest.raises(Problem):
            async with slots.entered():
                pass

    async with slots.entered():
        pass


async def test_one_that_fails_or_is_cancelled_gives_its_slot_back() -> None:
    slots = BatchSlots(at_once=1, wait_s=10.0)
    with pytest.raises(RuntimeError):
        async with slots.entered():
            raise RuntimeError
    async with AsyncExitStack() as held:
        await held.enter_async_context(slots.entered())
        waiting = asyncio.create_task(held.enter_async_context(slots.entered()))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

    async with slots.entered():
        pass
