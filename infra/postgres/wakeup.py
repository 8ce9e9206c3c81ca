"""Wake-ups from PostgreSQL: LISTEN on a connection of its own, which reconnects by itself.

A notification only means *look now*; the poll is the truth. Notifications may be lost (a reconnect, a full buffer), so
a caller looks at its table whenever `wait` returns, whatever it returned, and passes a timeout that bounds the damage:
`idle_timeout_s` is the caller's own poll interval, stretched to a second while the listening connection is healthy.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TypeAlias

from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of
from infra.postgres.connection import DedicatedConnection
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.retry_loop import Cause, RetryLoop, pause

Connect: TypeAlias = Callable[[], Awaitable[DedicatedConnection]]

_CAUSES: Final = (Cause(Exception, "database_unreachable"),)  # whatever `connect` raises, polls go on
_BUFFERED: Final = 10_000
_STRETCHED_POLL_S: Final = 1.0
_CONNECT_TIMEOUT_S: Final = 5.0
_FIRST_ATTEMPT_S: Final = 1.0
_PROBE_EVERY_S: Final = 15.0
_RECONNECT_S: Final = 0.05


class Wakeup:
    """Notifications of some channels, for one waiting task.

    `connect` opens a new connection (not one of a pool); it is called again, with backoff, whenever the connection is
    lost. The first `wait` after a reconnect returns at once, because notifications were missed.
    """

    def __init__(self, connect: Connect, channels: Sequence[str]) -> None:
        self._connect = connect
        self._channels = tuple(channels)
        self._buffer: deque[tuple[str, str]] = deque(maxlen=_BUFFERED)
        self._woken = asyncio.Event()
        self._tried = asyncio.Event()
        self._lost = asyncio.Event()
        self._healthy = False
        self._task: asyncio.Task[None] | None = None
        self._loop = RetryLoop(_CAUSES, self._log)

    @property
    def healthy(self) -> bool:
        """Whether the connection listens, as far as is known."""
        return self._healthy

    def idle_timeout_s(self, poll_s: float) -> float:
        """Return how long an idle caller may wait: `poll_s`, or at least a second while notifications arrive."""
        return max(poll_s, _STRETCHED_POLL_S) if self._healthy else poll_s

    async def wait(self, timeout_s: float) -> list[tuple[str, str]]:
        """Wait for notifications; return `(channel, payload)` in order of arrival, or an empty list: look anyway."""
        if not self._woken.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._woken.wait()
        self._woken.clear()
        notifications = list(self._buffer)
        self._buffer.clear()
        return notifications

    def wake(self) -> None:
        """Make the present or next `wait` return."""
        self._woken.set()

    async def wake_on(self, stop: asyncio.Event) -> None:
        """Make the present or next `wait` return when `stop` is set."""
        await stop.wait()
        self.wake()

    async def __aenter__(self) -> Self:
        """Return once the first attempt to listen has succeeded or failed, or after a second."""
        listening = self._loop.run(self._listen, asyncio.Event())
        self._task = asyncio.create_task(listening, name="wakeup")
        await pause(self._tried, _FIRST_ATTEMPT_S)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> float:
        """Listen until the connection is lost."""
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                connection = await self._connect()
            try:
                await self._listen_on(connection)
            finally:
                connection.terminate()
        finally:
            self._healthy = False
            self._tried.set()
        return _RECONNECT_S

    async def _listen_on(self, connection: DedicatedConnection) -> None:
        self._lost.clear()
        connection.add_termination_listener(lambda _connection: self._lost.set())
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            for channel in self._channels:
                await connection.add_listener(channel, self._heard)
        self._healthy = True
        self._loop.ready()
        self._tried.set()
        self._woken.set()
        while not self._lost.is_set() and await _is_alive(connection):
            await pause(self._lost, _PROBE_EVERY_S)

    def _log(self, _reason: NotReadyReason | None, error: Exception | None) -> None:
        if error is not None:
            get_logger().warning("wakeup.lost", channels=self._channels, reason=reason_of(error))

    def _heard(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._buffer.append((channel, str(payload)))
        self._woken.set()


async def _is_alive(connection: DedicatedConnection) -> bool:
    """Return whether a silent connection still lives: a frozen server or a cut cable closes nothing."""
    try:
        await connection.execute("SELECT 1", timeout=_CONNECT_TIMEOUT_S)
    except ANY_DATABASE_ERROR:
        return False
    return True
