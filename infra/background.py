"""Work in the background of a process, for as long as the process runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Final

from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of

AGAIN_AFTER_S: Final = (1.0, 5.0, 30.0)


@asynccontextmanager
async def run_in_background(work: Callable[[], Coroutine[None, None, None]], name: str) -> AsyncIterator[None]:
    """Run `work` until the context ends; when it fails, one log line says so and it begins again after a pause.

    An error here is one that the work itself did not expect. Without the work, the process would go on with keys or
    figures that nobody brings up to date.
    """
    task = asyncio.create_task(_kept(work, name), name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _kept(work: Callable[[], Coroutine[None, None, None]], name: str) -> None:
    failures = 0
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # whatever it is, somebody has to begin again
            pause_s = AGAIN_AFTER_S[min(failures, len(AGAIN_AFTER_S) - 1)]
            failures += 1
            get_logger().error("task.failed", task=name, reason=reason_of(error), again_in_s=pause_s)
            await asyncio.sleep(pause_s)
        else:
            return
