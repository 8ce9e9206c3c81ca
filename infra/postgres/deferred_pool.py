"""A pool that opens in the background: a service starts, and says what it waits for, while PostgreSQL is down.

Once open it stays: a pool reconnects by itself. A server or login that must not be used (`DangerousSettingsError`) and
a schema that is behind keep it closed and are tried again, since an operator may repair either.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.postgres.advice import advice
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.postgres.migrate import MigrationError
from infra.postgres.pool import DangerousSettingsError, Pool, SchemaBehindError
from infra.postgres.pool_metrics import POOL_METRICS
from infra.retry_loop import Cause, RetryLoop

_CAUSES: Final = (
    Cause(DangerousSettingsError, "database_settings_dangerous"),
    Cause((SchemaBehindError, MigrationError), "migrations_missing"),
    Cause(ANY_DATABASE_ERROR, "database_unreachable"),
)


class PoolNotOpenError(ConnectionError):
    """PostgreSQL was not reached yet; callers treat it like a lost connection (`failures.CONNECTION_LOST`)."""


class DeferredPool:
    """Opens with `open_pool` while the context is entered; `pool` returns it, or raises while there is none yet."""

    def __init__(self, open_pool: Callable[[], Awaitable[Pool]]) -> None:
        self._open = open_pool
        self._pool: Pool | None = None
        self._task: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()
        self._loop = RetryLoop(_CAUSES, _log)

    @property
    def reason(self) -> NotReadyReason:
        """Return what is missing, while the pool is not open."""
        return next(iter(self._loop.waiting_for()), "database_unreachable")

    def waiting_for(self) -> tuple[NotReadyReason, ...]:
        """Return what is missing; nothing once the pool is open."""
        return () if self._pool is not None else (self.reason,)

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
            raise PoolNotOpenError(self.reason)
        return self._pool

    async def check(self, timeout_s: float = 1.0) -> NotReadyReason | None:
        """Ask PostgreSQL whether it serves now; return what is missing, or None."""
        if self._pool is None:
            return self.reason
        try:
            async with asyncio.timeout(timeout_s):
                await self._pool.fetchval("SELECT 1")
        except DangerousSettingsError:
            return "database_settings_dangerous"
        except ANY_DATABASE_ERROR:
            return "database_unreachable"
        return None

    async def __aenter__(self) -> Self:
        """Return after the first attempt, whatever came of it.

        Raises:
            Exception: an error that no later attempt could do without.
        """
        await self._loop.attempt(self._attempt)
        if self._pool is None:
            # From here on nothing may end the attempts: nobody would see it.
            trying = self._loop.run(self._attempt, self._opened, otherwise="database_unreachable")
            self._task = asyncio.create_task(trying, name="deferred-pool")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
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
    if reason is None:
        get_logger().info("postgres.connected")
    else:
        get_logger().warning("postgres.waiting", reason=reason, error=error and advice(error))
