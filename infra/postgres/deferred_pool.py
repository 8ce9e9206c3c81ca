"""A pool that opens in the background: a service starts, and says what it waits for, while PostgreSQL is down.

Once open it stays: a pool reconnects by itself. A server or login that must not be used (`DangerousSettingsError`) and
a schema that is behind keep it closed and are tried again, since an operator may repair either.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TypeAlias

from infra.observability.health import MEANINGS, NotReadyReason
from infra.observability.logs import get_logger
from infra.postgres.advice import advice
from infra.postgres.failures import ANY_DATABASE_ERROR, NO_CONNECTION_LEFT
from infra.postgres.migrate import MigrationError
from infra.postgres.pool import DangerousSettingsError, Pool, SchemaBehindError
from infra.postgres.pool_metrics import POOL_METRICS
from infra.retry_loop import Cause, RetryLoop

CHECK_S: Final = 0.5
FIRST_ATTEMPT_S: Final = 1.0
_CAUSES: Final = (
    Cause(DangerousSettingsError, "database_settings_dangerous", each_message=True),
    Cause((SchemaBehindError, MigrationError), "migrations_missing", each_message=True),
    NO_CONNECTION_LEFT,
    Cause(ANY_DATABASE_ERROR, "database_unreachable"),
)


class PoolNotOpenError(ConnectionError):
    """PostgreSQL was not reached yet; callers treat it like a lost connection (`failures.CONNECTION_LOST`)."""


Question: TypeAlias = Callable[[Pool], Awaitable[NotReadyReason | None]]
"""Asks an open pool what is missing; None: nothing."""


async def serves(pool: Pool) -> NotReadyReason | None:
    """Ask whether PostgreSQL serves."""
    await pool.fetchval("SELECT 1")
    return None


class DeferredPool:
    """Opens with `open_pool` while the context is entered; `pool` returns it, or raises while there is none yet.

    `question` is what `check` asks.
    """

    def __init__(self, open_pool: Callable[[], Awaitable[Pool]], question: Question = serves) -> None:
        self._open = open_pool
        self._question = question
        self._answer: asyncio.Task[NotReadyReason | None] | None = None
        self._pool: Pool | None = None
        self._task: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()
        self._loop = RetryLoop(_CAUSES, _log)

    @property
    def reason(self) -> NotReadyReason:
        """Return what is missing, while the pool is not open."""
        return next(iter(self._loop.waiting_for()), "database_unreachable")

    async def opened(self) -> Pool:
        """Wait until the pool is open and return it."""
        await self._opened.wait()
        return self.pool

    async def opened_before(self, stop: asyncio.Event) -> Pool | None:
        """Wait until the pool is open and return it; None: `stop` was set first."""
        waits = [asyncio.create_task(event.wait()) for event in (self._opened, stop)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self._pool

    @property
    def pool(self) -> Pool:
        """Return the pool.

        Raises:
            PoolNotOpenError: it is not open yet.
        """
        if self._pool is None:
            raise PoolNotOpenError(f"there is no connection yet: {MEANINGS[self.reason]}")
        return self._pool

    async def check(self, timeout_s: float = CHECK_S) -> tuple[NotReadyReason, ...]:
        """Ask PostgreSQL whether it serves now; return what is missing, after `timeout_s` seconds at the latest.

        A server that is frozen gets one question, whoever asks how often. The question is not canceled after
        `timeout_s`: to take its connection back the pool would wait for the server.
        """
        if self._pool is None:
            return (self.reason,)
        if self._answer is None or self._answer.done():
            self._answer = asyncio.create_task(self._ask(self._pool), name="postgres-check")
        answered, _ = await asyncio.wait({self._answer}, timeout=timeout_s)
        missing = self._answer.result() if answered else "database_unreachable"
        return () if missing is None else (missing,)

    async def _ask(self, pool: Pool) -> NotReadyReason | None:
        try:
            return await self._question(pool)
        except DangerousSettingsError:
            return "database_settings_dangerous"
        except ANY_DATABASE_ERROR as error:
            return NO_CONNECTION_LEFT.reason if NO_CONNECTION_LEFT.fits(error) else "database_unreachable"

    async def __aenter__(self) -> Self:
        """Return after the first attempt, whatever came of it, or after a second: a frozen server answers none.

        Raises:
            Exception: an error that no later attempt could do without.
        """
        first = asyncio.create_task(self._loop.attempt(self._attempt), name="deferred-pool-first")
        try:
            await asyncio.wait({first}, timeout=FIRST_ATTEMPT_S)
        except asyncio.CancelledError:
            first.cancel()
            raise
        if first.done():
            first.result()
        if self._pool is None:
            self._task = asyncio.create_task(self._go_on(first), name="deferred-pool")
        return self

    async def _go_on(self, first: asyncio.Task[float]) -> None:
        try:
            await first
        except Exception as error:  # noqa: BLE001  # from here on nothing may end the attempts: nobody would see it
            _log("database_unreachable", error)
        await self._loop.run(self._attempt, self._opened, otherwise="database_unreachable")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in filter(None, (self._task, self._answer)):
            task.cancel()
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task
        if self._pool is not None:
            POOL_METRICS.watched.discard(self._pool)
            self._pool.terminate()

    async def _attempt(self) -> float:
        self._pool = await self._open()
        POOL_METRICS.watched.add(self._pool)
        self._opened.set()
        return 0


def _log(reason: NotReadyReason | None, error: Exception | None) -> None:
    if error is None:
        get_logger().info("postgres.connected")
    else:
        get_logger().warning("postgres.waiting", waiting_for=reason, reason=advice(error))
