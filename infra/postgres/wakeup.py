"""Wake-ups from PostgreSQL: LISTEN on a connection of its own, which reconnects by itself.

A notification only says *look now*; the poll is the truth. Notifications may be lost (a reconnect, a full buffer), so a
caller looks at its table whenever `wait` returns, whatever it returned, and passes a timeout that bounds the damage:
`idle_timeout_s` gives the caller's own poll interval, stretched to a second while the listening connection is healthy.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TypeAlias

from infra.observability.logs import get_logger
from infra.postgres.connection import DedicatedConnection
from infra.postgres.failures import UNREACHABLE

Connect: TypeAlias = Callable[[], Awaitable[DedicatedConnection]]

_BUFFERED: Final = 10_000
_STRETCHED_POLL_S: Final = 1.0
_CONNECT_TIMEOUT_S: Final = 5.0
_PROBE_EVERY_S: Final = 15.0
_BACKOFF_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)


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

    @property
    def healthy(self) -> bool:
        """Whether the connection listens, as far as is known."""
        return self._healthy

    def idle_timeout_s(self, poll_s: float) -> float:
        """Return how long an idle caller may wait: `poll_s`, or at least a second while notifications arrive."""
        return max(poll_s, _STRETCHED_POLL_S) if self._healthy else poll_s

    async def wait(self, timeout_s: float) -> list[tuple[str, str]]:
        """Wait for notifications; give `(channel, payload)` in order of arrival, or an empty list: look anyway."""
        if not self._woken.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._woken.wait()
        self._woken.clear()
        notifications = list(self._buffer)
        self._buffer.clear()
        return notifications

    def wake(self) -> None:
        """Make the present or next `wait` return; for a caller that wants to stop."""
        self._woken.set()

    async def __aenter__(self) -> Self:
        """Return once the first attempt to listen has succeeded or failed."""
        self._task = asyncio.create_task(self._keep_listening(), name="wakeup")
        await self._tried.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep_listening(self) -> None:
        failures = 0
        while True:
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    connection = await self._connect()
            except Exception as error:  # noqa: BLE001  # `connect` is the caller's: whatever it raises, polls go on
                if failures == 0:
                    get_logger().warning("wakeup.lost", channels=self._channels, error=repr(error))
                failures += 1
            else:
                try:
                    failures = 0 if await self._listen(connection) else failures + 1
                finally:
                    connection.terminate()
            self._healthy = False
            self._tried.set()
            await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])

    async def _listen(self, connection: DedicatedConnection) -> bool:
        """Listen until the connection is lost; give whether it ever listened."""
        self._lost.clear()
        try:
            connection.add_termination_listener(lambda _connection: self._lost.set())
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                for channel in self._channels:
                    await connection.add_listener(channel, self._heard)
        except UNREACHABLE:
            return False
        self._healthy = True
        self._tried.set()
        self._woken.set()
        while not self._lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_EVERY_S):
                    await self._lost.wait()
                    break
            if not await _answers(connection):
                break
        return True

    def _heard(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._buffer.append((channel, str(payload)))
        self._woken.set()


async def _answers(connection: DedicatedConnection) -> bool:
    """Find out whether a silent connection still lives: a frozen server or a cut cable sends no goodbye."""
    try:
        await connection.execute("SELECT 1", timeout=_CONNECT_TIMEOUT_S)
    except UNREACHABLE:
        return False
    return True
