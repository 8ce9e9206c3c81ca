"""A pool that opens in the background: a service starts, and says what it waits for, while PostgreSQL is down.

Once open it stays: a pool reconnects by itself. A server or login that must not be used (`DangerousSettingsError`) and
a schema that is behind keep it closed and are looked at again, since an operator may mend either.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from infra.event_store.protocol import StoreUnavailableError
from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.postgres.failures import UNREACHABLE
from infra.postgres.migrate import MigrationError
from infra.postgres.pool import DangerousSettingsError, Pool, SchemaBehindError

_BACKOFF_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
_UNREACHABLE: Final[NotReadyReason] = "database_unreachable"
_DANGEROUS: Final[NotReadyReason] = "database_settings_dangerous"
_BEHIND: Final[NotReadyReason] = "migrations_missing"


def missing_for(error: Exception) -> NotReadyReason:
    """Return what a process waits for that could not open its pool."""
    match error:
        case DangerousSettingsError():
            return _DANGEROUS
        case SchemaBehindError() | MigrationError():
            return _BEHIND
        case _:
            return _UNREACHABLE


class DeferredPool:
    """Opens with `open_pool` while the context is entered; `pool` gives it, or says that there is none yet."""

    def __init__(self, open_pool: Callable[[], Awaitable[Pool]]) -> None:
        self._open = open_pool
        self._pool: Pool | None = None
        self._task: asyncio.Task[None] | None = None
        self._reason: NotReadyReason = _UNREACHABLE
        self._opened = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Return whether `pool` gives one."""
        return self._pool is not None

    @property
    def reason(self) -> NotReadyReason:
        """Return what is missing, while the pool is not open."""
        return self._reason

    def waiting_for(self) -> tuple[NotReadyReason, ...]:
        """Return what is missing; nothing once the pool is open."""
        return () if self._pool is not None else (self._reason,)

    async def opened(self) -> Pool:
        """Wait until the pool is open and give it."""
        await self._opened.wait()
        return self.pool

    @property
    def pool(self) -> Pool:
        """Return the pool.

        Raises:
            StoreUnavailableError: it is not open yet.
        """
        if self._pool is None:
            raise StoreUnavailableError(self._reason)
        return self._pool

    async def check(self, timeout_s: float = 1.0) -> NotReadyReason | None:
        """Ask PostgreSQL whether it answers now; give what is missing, or None."""
        if self._pool is None:
            return self._reason
        try:
            async with asyncio.timeout(timeout_s):
                await self._pool.fetchval("SELECT 1")
        except DangerousSettingsError:
            return _DANGEROUS
        except UNREACHABLE:
            return _UNREACHABLE
        return None

    async def __aenter__(self) -> Self:
        """Return after the first attempt, whatever came of it."""
        if not await self._attempt():
            self._task = asyncio.create_task(self._keep_trying(), name="late-pool")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._pool is not None:
            self._pool.terminate()

    async def _keep_trying(self) -> None:
        tries = 0
        while True:
            await asyncio.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])
            tries += 1
            try:
                if await self._attempt():
                    return
            except Exception as error:  # noqa: BLE001  # a service that waits must never stop looking
                self._refused(_UNREACHABLE, error)

    async def _attempt(self) -> bool:
        try:
            self._pool = await self._open()
        except (*UNREACHABLE, SchemaBehindError, MigrationError) as error:
            self._refused(missing_for(error), error)
        else:
            self._opened.set()
            get_logger().info("postgres.connected")
        return self._pool is not None

    def _refused(self, reason: NotReadyReason, error: Exception) -> None:
        """Log each change of state once, not each attempt."""
        if self._task is None or reason != self._reason:
            get_logger().warning("postgres.waiting", reason=reason, error=str(error))
        self._reason = reason
