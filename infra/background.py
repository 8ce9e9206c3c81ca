"""Work in the background of a server, for as long as the server runs."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of


@asynccontextmanager
async def run_in_background(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Run `work` until the context ends; if it fails, one log line says so and the server goes on."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        get_logger().error("task.failed", task=task.get_name(), reason=reason_of(error))
