"""Records the ends of attempts, many per transaction: while one batch is written the next gathers by itself."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of
from infra.postgres.connection import Connection
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.failures import ANY_DATABASE_ERROR, NO_CONNECTION_LEFT
from infra.retry_loop import Cause, RetryLoop
from projections.webhooks import queue

BATCH: Final = 500
RETRY_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Ended:
    """One attempt that ended. `suspend` is the endpoint's new status and the reason, when it gets one."""

    endpoint_id: UUID
    result: queue.Result
    suspend: tuple[str, str] | None = None


class Recorder:
    """Writes what `add` was given, in order; bounded by what the dispatcher has in flight.

    `recorded` is called with each batch once it is committed: only then are its slots free, so a database that is away
    stops the dispatcher instead of filling its memory.
    """

    def __init__(self, database: DeferredPool, recorded: Callable[[Sequence[Ended]], None]) -> None:
        self._database = database
        self._recorded = recorded
        self._waiting: list[Ended] = []
        self._changed = asyncio.Event()
        self._is_closing = False
        self._is_done = asyncio.Event()
        self._loop = RetryLoop(
            (NO_CONNECTION_LEFT, Cause(ANY_DATABASE_ERROR, "database_unreachable")), _log, (RETRY_S,)
        )

    def add(self, ended: Ended) -> None:
        """Take the end of one attempt; it is written soon, and tried again until it is written."""
        self._waiting.append(ended)
        self._changed.set()

    def close(self) -> None:
        """Let `run` return once everything is written."""
        self._is_closing = True
        self._changed.set()

    async def run(self) -> None:
        """Write until closed."""
        await self._loop.run(self._write, self._is_done)

    async def _write(self) -> float:
        async with self._database.pool.acquire() as connection:
            await connection.execute(queue.INDEXES_ONLY)
            while self._waiting or not self._is_closing:
                await self._write_next(connection)
                self._loop.ready()
        self._is_done.set()
        return 0

    async def _write_next(self, connection: Connection) -> None:
        if not self._waiting:
            self._changed.clear()
            await self._changed.wait()
            return
        batch = self._waiting[:BATCH]
        suspend = {ended.endpoint_id: ended.suspend for ended in batch if ended.suspend is not None}
        # Always in the same order, so that two dispatchers cannot wait for each other's rows.
        results = sorted((ended.result for ended in batch), key=lambda result: result.delivery_id)
        await queue.record(connection, results, suspend)
        del self._waiting[: len(batch)]
        self._recorded(batch)


def _log(_reason: NotReadyReason | None, error: Exception | None) -> None:
    if error is not None:
        get_logger().warning("delivery.record_failed", reason=reason_of(error))
