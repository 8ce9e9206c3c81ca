"""Work in the background outlives its own errors: a process must not go on with what nobody brings up to date."""

import asyncio

import structlog

from infra import background
from infra.background import run_in_background


async def test_work_that_fails_is_told_once_and_begins_again() -> None:
    begun, went_on = 0, asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise LookupError("nobody expected this")
        went_on.set()
        await asyncio.Event().wait()

    with structlog.testing.capture_logs() as logs:
        async with run_in_background(work, "watch"):
            async with asyncio.timeout(background.AGAIN_AFTER_S[0] + 10):
                await went_on.wait()

    assert begun == 2
    assert [(line["event"], line["task"], line["again_in_s"]) for line in logs] == [("task.failed", "watch", 1.0)]
    assert "nobody expected this" in logs[0]["reason"]


async def test_work_that_ended_is_over_and_work_under_way_ends_with_its_process() -> None:
    begun: list[str] = []
    is_canceled = asyncio.Event()

    async def short() -> None:
        begun.append("short")

    async def long() -> None:
        begun.append("long")
        try:
            await asyncio.Event().wait()
        finally:
            is_canceled.set()

    async with run_in_background(short, "short"), run_in_background(long, "long"):
        for _ in range(5):
            await asyncio.sleep(0)

    assert begun == ["short", "long"]
    assert is_canceled.is_set()
