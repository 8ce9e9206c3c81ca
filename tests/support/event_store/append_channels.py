"""Append channels for tests: one that fails and waits by script, one that records what goes through it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from enum import Enum

from infra.clock import monotonic_s
from infra.event_store.append_channel import (
    AppendChannel,
    BatchFailedError,
    BatchRefusedError,
    NotNowError,
    OutcomeUnknownError,
)
from infra.event_store.appender import Appender, AppenderLimits
from infra.event_store.memory import MemoryEventStore, check_storable
from infra.event_store.protocol import AppendCommand, AppendOutcome, AppendRejectedError
from tests.support.waiting import eventually


class Fault(Enum):
    """What happens to one send."""

    LOST_BEFORE = "the connection ends before anything was written"
    LOST_AFTER = "the connection ends after the commit, before the outcome"
    NOT_NOW = "PostgreSQL says no for the moment"
    FAILED = "PostgreSQL fails for a reason that lies in no command"
    BUG = "the channel itself is broken"


class ScriptedChannel:
    """`AppendChannel` whose first sends suffer the given faults; `batches` lists what was sent.

    Sends wait for `let_go` when the channel `is_held`, or once `held_after` of them went through.
    """

    def __init__(self, faults: Sequence[Fault] = (), *, is_held: bool = False, held_after: int | None = None) -> None:
        self.store = MemoryEventStore()
        self.batches: list[list[AppendCommand]] = []
        self.is_closed = False
        self._faults = list(faults)
        self._held_after = 0 if is_held else held_after
        self._may_go = asyncio.Event()
        if self._held_after is None:
            self._may_go.set()

    def let_go(self) -> None:
        """Let held sends, and all later ones, go through."""
        self._may_go.set()

    async def probe(self) -> None:
        """Send nothing, which a fault may meet all the same."""
        await self.send(())

    async def send(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome]:
        """Append to the memory store, unless a fault is due."""
        self.batches.append(list(commands))
        if self._held_after is None or len(self.batches) > self._held_after:
            await self._may_go.wait()
        fault = self._faults.pop(0) if self._faults else None
        if fault is Fault.BUG:
            raise RuntimeError(fault.value)
        if fault is Fault.NOT_NOW:
            raise NotNowError(fault.value)
        if fault is Fault.FAILED:
            raise BatchFailedError(fault.value)
        if fault is Fault.LOST_BEFORE:
            raise OutcomeUnknownError(fault.value)
        try:
            for command in commands:
                check_storable(command)
        except AppendRejectedError as error:
            raise BatchRefusedError(str(error)) from error
        outcomes = [await self.store.append(command) for command in commands]
        if fault is Fault.LOST_AFTER:
            raise OutcomeUnknownError(fault.value)
        return outcomes

    async def close(self) -> None:
        """Record that it was closed."""
        self.is_closed = True


class StillClock:
    """A clock that stands still until it is moved: until then no command in an appender is past its deadline."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def gathering(
    first: AppendCommand, limits: AppenderLimits | None = None, clock: Callable[[], float] = monotonic_s
) -> AsyncIterator[tuple[ScriptedChannel, Appender, "asyncio.Task[AppendOutcome]"]]:
    """Yield an appender with one command in flight that stays there until `channel.let_go()`."""
    channel = ScriptedChannel(is_held=True)
    async with Appender(channel, limits, monotonic_s=clock) as appender:
        in_flight = asyncio.create_task(appender.append(first))
        await eventually(lambda: channel.batches)
        yield channel, appender, in_flight


def sizes(channel: ScriptedChannel) -> list[int]:
    """Return how many commands each batch had."""
    return [len(batch) for batch in channel.batches]


class NotingChannel:
    """`AppendChannel` that passes everything on; `batches` lists what was sent, in order."""

    def __init__(self, inner: AppendChannel) -> None:
        self.batches: list[list[AppendCommand]] = []
        self._inner = inner

    async def send(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome]:
        """Record the batch and pass it on."""
        self.batches.append(list(commands))
        return await self._inner.send(commands)

    async def probe(self) -> None:
        """Pass it on."""
        await self._inner.probe()

    async def close(self) -> None:
        """Close the other one."""
        await self._inner.close()
