"""An event loop on a thread of its own, so that code without one can call coroutines.

The library's recorders are plain functions that may be called from any thread; asyncpg needs a running loop. The thread
starts with the first `LoopThread` and ends when that is closed, garbage or the interpreter exits: whatever still runs
is canceled, then everything opened with `LoopThread.opened` is closed.
"""

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TypeVar

from eventsourcing.persistence import InterfaceError, ProgrammingError

T = TypeVar("T")
_START_TIMEOUT_S = 10.0
_END_TIMEOUT_S = 15.0
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class _Running:
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    opened: AsyncExitStack


class LoopThread:
    """A loop that calls run on, one after the other per calling thread, concurrently over threads."""

    def __init__(self, name: str) -> None:
        started: Future[_Running] = Future()
        # The thread may not know `self`: it would never become garbage. A daemon, because the interpreter joins other
        # threads before it runs the finalizer that would end this one.
        self._thread = threading.Thread(target=asyncio.run, args=(_until_stopped(started),), name=name, daemon=True)
        self._thread.start()
        self._lock = threading.RLock()  # work is either taken before the end, and then canceled, or refused
        self._running = started.result(_START_TIMEOUT_S)
        self._end = weakref.finalize(self, _end, self._running, self._thread)

    def run(self, work: Coroutine[None, None, T], timeout_s: float) -> T:
        """Run a coroutine on the loop, wait for it and return its result; it is canceled after `timeout_s` seconds.

        Raises:
            TimeoutError: it took too long.
            InterfaceError: the loop was closed, before or meanwhile.
            ProgrammingError: called on the loop's own thread, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise ProgrammingError("a recorder was called from its own loop's thread")
        with self._lock:
            if not self._end.alive:
                work.close()
                raise InterfaceError("the infrastructure factory is closed")
            future = asyncio.run_coroutine_threadsafe(_within(work, timeout_s), self._running.loop)
        try:
            return future.result(timeout_s + _GRACE_S)
        except CancelledError:
            raise InterfaceError("the infrastructure factory was closed meanwhile") from None
        finally:
            future.cancel()  # of no effect on what is done; after a KeyboardInterrupt it ends the work

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Have a plain function called on the loop, without waiting; of no effect once it is closed."""
        with suppress(RuntimeError):
            self._running.loop.call_soon_threadsafe(callback)

    def opened(self, close: Callable[[], Awaitable[None]]) -> None:
        """Remember how to close something that a coroutine on the loop opened; later ones are closed first."""
        self._running.opened.push_async_callback(close)

    def close(self) -> None:
        """End the thread and wait for it; calling again does nothing."""
        with self._lock:
            self._end()


async def _within(work: Coroutine[None, None, T], timeout_s: float) -> T:
    async with asyncio.timeout(timeout_s):
        return await work


async def _until_stopped(started: Future[_Running]) -> None:
    stop = asyncio.Event()
    async with AsyncExitStack() as opened:
        started.set_result(_Running(asyncio.get_running_loop(), stop, opened))
        await stop.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _end(running: _Running, thread: threading.Thread) -> None:
    with suppress(RuntimeError):  # the loop has ended already
        running.loop.call_soon_threadsafe(running.stop.set)
    if threading.current_thread() is not thread:  # the garbage collector runs anywhere
        thread.join(_END_TIMEOUT_S)
