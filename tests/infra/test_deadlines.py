"""A time limit ends what takes too long, and nothing else."""

import asyncio
from collections.abc import Callable

import pytest

from infra.deadlines import TICK_S, Deadlines

NEVER = 3600.0


async def test_a_block_that_takes_too_long_ends_with_a_timeout_and_its_task_goes_on() -> None:
    deadlines = Deadlines(0.02)
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for _ in range(3):
        began_s = loop.time()
        with pytest.raises(TimeoutError), deadlines.limit() as limit:
            await asyncio.sleep(NEVER)

        assert limit.expired
        assert 0.02 <= loop.time() - began_s < NEVER
    assert task is not None
    assert task.cancelling() == 0


async def test_of_two_limits_the_shorter_one_ends_its_own_block() -> None:
    outer, inner = Deadlines(NEVER), Deadlines(0.01)

    with outer.limit() as whole:
        with pytest.raises(TimeoutError), inner.limit():
            await asyncio.sleep(NEVER)
        await asyncio.sleep(0)

    assert not whole.expired


async def test_a_task_that_somebody_else_cancels_is_cancelled() -> None:
    deadlines = Deadlines(NEVER)

    async def work() -> None:
        with deadlines.limit():
            await asyncio.sleep(NEVER)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_block_is_not_hidden_by_a_time_that_ran_out() -> None:
    deadlines = Deadlines(0.01)

    async def fail() -> None:
        try:
            await asyncio.sleep(NEVER)
        except asyncio.CancelledError:
            raise KeyError("mine") from None

    with pytest.raises(KeyError), deadlines.limit():
        await fail()


async def test_each_of_many_blocks_ends_when_its_own_time_is_up() -> None:
    deadlines = Deadlines(3 * TICK_S)
    ended: list[int] = []

    async def work(number: int, seconds: float) -> None:
        try:
            with deadlines.limit():
                await asyncio.sleep(seconds)
        except TimeoutError:
            ended.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(work(number, NEVER if number % 2 else 0.0))
            await asyncio.sleep(0)

    assert ended == list(range(1, 100, 2))


async def test_a_block_that_is_quick_enough_notices_nothing_and_nothing_is_watched_afterwards() -> None:
    deadlines = Deadlines(0.01)
    with deadlines.limit() as limit:
        await asyncio.sleep(0)

    await asyncio.sleep(2 * TICK_S)

    assert not limit.expired
    assert not deadlines._is_watching


class Ended:
    """Something with a time limit; `then` is called when its time is up."""

    began_s = 0.0

    def __init__(self, then: Callable[[], object]) -> None:
        self._then = then

    def expire(self) -> None:
        self._then()


def fail() -> None:
    raise RuntimeError("a bug")


async def test_one_that_fails_or_ends_another_leaves_the_rest_their_deadlines() -> None:
    deadlines, rung, last = Deadlines(0.01), asyncio.Event(), asyncio.Event()
    ended = Ended(rung.set)
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    for timed in (Ended(lambda: deadlines.end(ended)), ended, Ended(fail), Ended(last.set)):
        deadlines.begin(timed)

    await asyncio.wait_for(last.wait(), 60)

    assert not rung.is_set()
