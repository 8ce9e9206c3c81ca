"""One step of a process, again and again until it is stopped; failures are explained, logged once and backed off from.

```python
loop = RetryLoop((Cause(ANY_DATABASE_ERROR, "database_unreachable"),), log)
await loop.run(step, stop)  # `loop.waiting_for()` is what /readyz shows meanwhile
```
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from infra.clock import monotonic_s
from infra.observability.health import NotReadyReason

BACKOFF_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
CALM_S: Final = 5.0
"""A step that ran longer than this before it failed starts a new series of pauses."""

Step = Callable[[], Awaitable[float]]
"""One piece of work; returns after how many seconds the next one is due, 0: at once."""

Log = Callable[[NotReadyReason | None, Exception | None], None]
"""Called once per change: with the reason and the error that brought it, or with None when steps succeed again."""


class Cause(NamedTuple):
    """What errors of these types mean: the reason readiness shows, and the pause in seconds if it does not grow."""

    errors: type[Exception] | tuple[type[Exception], ...]
    reason: NotReadyReason
    retry_s: float | None = None
    or_below: bool = False
    """Whether it also fits an error that was raised from one of these."""
    each_message: bool = False
    """Whether an error with another message is another change: each says something else for an operator to do."""

    def fits(self, error: Exception) -> bool:
        """Return whether this explains the error."""
        return isinstance(error, self.errors) or (self.or_below and isinstance(error.__cause__, self.errors))


class RetryLoop:
    """Runs steps. The first of the `causes` that fits an error explains it; pauses grow along `backoff_s`."""

    def __init__(
        self,
        causes: Sequence[Cause],
        log: Log,
        backoff_s: Sequence[float] = BACKOFF_S,
        clock: Callable[[], float] = monotonic_s,
    ) -> None:
        self._causes = causes
        self._log = log
        self._backoff_s = backoff_s
        self._clock = clock
        self._failures = 0
        self._reason: NotReadyReason | None = "starting"
        self._message = ""

    def waiting_for(self) -> tuple[NotReadyReason, ...]:
        """Return why the process is not ready; nothing when it is."""
        return () if self._reason is None else (self._reason,)

    def ready(self) -> None:
        """Note that all is well; a step that runs for long says so itself as soon as it knows."""
        self._failures = 0
        self._change(None, None)

    async def run(
        self,
        step: Step,
        stop: asyncio.Event,
        *,
        otherwise: NotReadyReason | None = None,
    ) -> None:
        """Run steps until `stop` is set; a step under way is finished first.

        Raises:
            Exception: an error without a cause, unless `otherwise` is the reason for such errors.
        """
        while not stop.is_set():
            await pause(stop, await self.attempt(step, otherwise=otherwise))

    async def attempt(self, step: Step, *, otherwise: NotReadyReason | None = None) -> float:
        """Run one step; return after how many seconds the next is due. Raises as `run` does."""
        started_s = self._clock()
        try:
            due_s = await step()
        except Exception as error:
            cause = next((each for each in self._causes if each.fits(error)), None)
            reason = cause.reason if cause else otherwise
            if reason is None:
                raise
            if self._clock() - started_s > CALM_S:
                self._failures = 0
            pause_s = self._backoff_s[min(self._failures, len(self._backoff_s) - 1)]
            self._failures += 1
            self._change(reason, error, str(error) if cause is not None and cause.each_message else "")
            return pause_s if cause is None or cause.retry_s is None else cause.retry_s
        self.ready()
        return due_s

    def _change(self, reason: NotReadyReason | None, error: Exception | None, message: str = "") -> None:
        if (reason, message) != (self._reason, self._message):
            self._reason, self._message = reason, message
            self._log(reason, error)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait `seconds`, or until `stop` is set."""
    if seconds > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
