"""PostgreSQL as plain function calls: a pool on a private loop, a deadline on every call, wake-ups."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import asyncpg
from eventsourcing.persistence import InterfaceError

from infra.eventsourcing_module.errors import OUTCOME_UNKNOWN, in_library_words
from infra.eventsourcing_module.loop_thread import LoopThread
from infra.eventsourcing_module.settings import ModuleSettings
from infra.postgres.connection import Connection
from infra.postgres.pool import Pool, connect, open_pool
from infra.postgres.wakeup import Wakeup
from infra.settings import PostgresSettings

T = TypeVar("T")
_APPLICATION_NAME = "harbor-eventsourcing"
_CHANNEL = "harbor_events"
_POLL_S = 0.1
_STILL_LISTENING_S = 60.0
_CLOSE_TIMEOUT_S = 5.0
_ATTEMPTS = 3
_PAUSE_S = 0.05


class Database:
    """What all recorders of one factory share. Opens nothing before the first call; may be called from any thread.

    At most `settings.postgres.pool_max` calls are under way at once; the others wait within their own deadline.
    """

    def __init__(self, settings: ModuleSettings) -> None:
        self.settings = settings
        self._lock = threading.RLock()  # the garbage collector may close an application inside any call
        self._thread: LoopThread | None = None
        self._closed = False
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()
        self._listening = _Listening(settings.postgres)

    @property
    def idle_s(self) -> float:
        """How many seconds a subscription may wait without a wake-up until it looks at the log again."""
        return self._listening.idle_s

    def run(self, work: Callable[[Connection], Awaitable[T]], *, is_repeatable: bool = True) -> T:
        """Do some work on a connection of the pool and return its result.

        Work that is repeatable (a read; a write whose keys show what was written) is done again, a few times, on
        another connection when the first is lost.

        Raises:
            PersistenceError: see `errors`; OperationalError when the deadline passed.
        """
        with in_library_words():
            return self._loop().run(
                self._on_connection(work, _ATTEMPTS if is_repeatable else 1), self.settings.call_timeout_s
            )

    def listen(self, woken: threading.Event) -> None:
        """Have an event set whenever something was appended, until `unlisten`."""
        with in_library_words():
            self._loop().run(self._listening.add(woken), self.settings.call_timeout_s)

    def unlisten(self, woken: threading.Event) -> None:
        """Leave an event alone; of no effect when it was never set."""
        if self._thread is not None:
            listening = self._listening  # not `self`: the loop must not keep this object alive
            self._thread.call_soon(lambda: listening.discard(woken))

    def close(self) -> None:
        """Cancel what is under way and close all connections; every later call raises `InterfaceError`."""
        with self._lock:
            self._closed = True
        if self._thread is not None:
            self._thread.close()

    def _loop(self) -> LoopThread:
        with self._lock:
            if self._closed:
                raise InterfaceError("the infrastructure factory is closed")
            if self._thread is None:
                self._thread = LoopThread(_APPLICATION_NAME)
            return self._thread

    async def _on_connection(self, work: Callable[[Connection], Awaitable[T]], attempts: int) -> T:
        pool = await self._opened()
        while True:
            attempts -= 1
            try:
                async with pool.acquire() as connection:
                    return await work(connection)
            except OUTCOME_UNKNOWN:
                if attempts <= 0:
                    raise
            await asyncio.sleep(_PAUSE_S)

    async def _opened(self) -> Pool:
        async with self._opening:
            if self._pool is None:
                pool = await open_pool(self.settings.postgres, application_name=_APPLICATION_NAME)
                self._loop().opened(lambda: _close(pool))
                self._pool = pool
            return self._pool


class _Listening:
    """One LISTEN connection for all subscriptions; lives on the loop and is open only while there is a subscription."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._woken: set[threading.Event] = set()
        self._wakeup: Wakeup | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def idle_s(self) -> float:
        return _POLL_S if self._wakeup is None else self._wakeup.idle_timeout_s(_POLL_S)

    async def add(self, woken: threading.Event) -> None:
        self._woken.add(woken)
        if self._task is None:
            self._task = asyncio.create_task(self._pass_on(), name="listening")

    def discard(self, woken: threading.Event) -> None:
        self._woken.discard(woken)
        if not self._woken and self._task is not None:
            self._task.cancel()
            self._task = self._wakeup = None

    async def _pass_on(self) -> None:
        wakeup = Wakeup(lambda: connect(self._settings, application_name=_APPLICATION_NAME), [_CHANNEL])
        async with wakeup:
            self._wakeup = wakeup
            while True:
                await wakeup.wait(_STILL_LISTENING_S)
                for woken in self._woken:
                    woken.set()


async def _close(pool: Pool) -> None:
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await pool.close()
            return
    pool.terminate()
