"""A process drains on SIGTERM or SIGINT, and ends anyway when it does not."""

import asyncio
import os
import signal

import pytest

from infra import runtime


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_sets_stop_and_the_process_drains(number: signal.Signals) -> None:
    drained = False

    async def main(stop: asyncio.Event) -> None:
        nonlocal drained
        os.kill(os.getpid(), number)
        await stop.wait()
        drained = True

    await runtime.supervise(main, drain_s=60)

    assert drained


async def test_a_process_that_does_not_drain_is_cut_off_at_the_deadline() -> None:
    async def main(_stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    async with asyncio.timeout(60):
        await runtime.supervise(main, drain_s=0.01)


async def test_sigterm_any_number_of_times_leaves_the_time_to_drain() -> None:
    drained = False

    async def main(stop: asyncio.Event) -> None:
        nonlocal drained
        for _ in range(5):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)  # the loop hears of a signal in its next pass
        await stop.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        drained = True

    await runtime.supervise(main, drain_s=3600)

    assert drained


async def test_a_second_interrupt_cuts_off_at_once() -> None:
    async def main(stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await stop.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    async with asyncio.timeout(60):
        await runtime.supervise(main, drain_s=3600)


async def test_what_main_raises_ends_the_process() -> None:
    async def main(_stop: asyncio.Event) -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        await runtime.supervise(main, drain_s=1)
