"""Deadlines without a timer each: everything with the same time limit is in one queue, watched by one timer.

A timer of the event loop costs some 3 us to set and to cancel, `asyncio.timeout` 4 us; a request that passes three of
them pays more for its deadlines than for its validation. What has the same limit ends in the order in which it began,
so it is enough to look at the oldest every `TICK_S`: a deadline comes up to that much late, and never early.

    deadlines = Deadlines(5.0)
    with deadlines.limit() as limit:
        ...                      # TimeoutError after 5.0 to 5.05 s; `limit.expired`: it was this limit, not another
"""

import asyncio
from types import TracebackType
from typing import Final, Protocol, Self

from infra import clock

TICK_S: Final = 0.05


class Timed(Protocol):
    """What a deadline is for: when it began on the monotonic clock, and what happens when its time is up."""

    began_s: float

    def expire(self) -> None:
        """Do what is due."""
        ...


class Deadlines:
    """One time limit in seconds, for any number of tasks and callbacks of one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._tick_s = min(seconds, TICK_S)
        self._running: dict[Timed, None] = {}  # in the order in which they began
        self._is_watching = False

    def limit(self) -> "Limit":
        """Return a context manager that ends its block after `seconds`; enter it once."""
        return Limit(self)

    def begin(self, timed: Timed) -> None:
        """Watch something from now on."""
        timed.began_s = clock.monotonic_s()
        self._running[timed] = None
        if not self._is_watching:
            self._is_watching = True
            asyncio.get_running_loop().call_later(self._tick_s, self._look)

    def end(self, timed: Timed) -> None:
        """Watch it no longer."""
        self._running.pop(timed, None)

    def _look(self) -> None:
        over_s = clock.monotonic_s() - self.seconds
        late = []
        for limit in self._running:
            if limit.began_s > over_s:
                break
            late.append(limit)
        try:
            for limit in late:
                if limit in self._running:  # one that expired before it in this look may have ended it
                    del self._running[limit]
                    limit.expire()
        finally:  # one that fails leaves the others their deadlines
            self._is_watching = bool(self._running)
            if self._is_watching:
                asyncio.get_running_loop().call_later(self._tick_s, self._look)


class Limit:
    """The time limit of one block, as `asyncio.timeout` keeps it: the task is cancelled, the block's end tells why."""

    __slots__ = ("_cancelling", "_deadlines", "_task", "began_s", "expired")

    _task: "asyncio.Task[object]"
    began_s: float

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self.expired = False

    def __enter__(self) -> Self:
        """Start the time.

        Raises:
            RuntimeError: not inside a task.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit is for a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._deadlines.begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the time.

        Raises:
            TimeoutError: the time was up, and nobody else cancelled the task.
        """
        self._deadlines.end(self)
        if (
            self.expired
            and self._task.uncancel() <= self._cancelling
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        ):
            raise TimeoutError from error

    def expire(self) -> None:
        """End the block: its task gets a cancellation, which the end of the block turns into `TimeoutError`."""
        self.expired = True
        self._task.cancel()
