"""Many callers, one log: gathers the commands that wait at this moment and appends them in one call.

Opportunistic batching: when nothing is in flight a command is sent at once; while a batch is in flight the next one
gathers. There is no linger, so an idle system responds within one commit, and batches grow by themselves under load.

What a caller may rely on: once `append` has queued a command it is tried until its outcome is known or its deadline has
passed, even when the caller is cancelled; and no outcome is reported that the database did not confirm. A batch whose
outcome was lost is sent again with the same keys, which show what had been written.

After an outage the appender probes by itself whether PostgreSQL accepts appends again: readiness depends on that, and
nobody sends commands to a service that is not ready.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

import structlog

from infra import clock
from infra.deadlines import Deadlines
from infra.event_store.append_channel import (
    AppendChannel,
    BatchFailedError,
    BatchRefusedError,
    NotNowError,
    OutcomeUnknownError,
)
from infra.event_store.conflict_queue import ConflictQueue, QueuedCommand, size_bytes
from infra.event_store.metrics import BATCH_COMMANDS, BATCH_SECONDS, QUEUED, RESENT
from infra.event_store.pending_appends import PendingAppend, PendingGroup
from infra.event_store.protocol import (
    AppendCommand,
    AppendOutcome,
    AppendQueueFullError,
    AppendRejectedError,
    AppendTimeoutError,
    EventStoreError,
    StoreUnavailableError,
)
from infra.event_store.repetitions import outcome_of_repetition, own_append

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0

Queued: TypeAlias = QueuedCommand[PendingAppend]


@dataclass(frozen=True, slots=True)
class AppenderLimits:
    """Upper bounds of an `Appender`. Bytes are those of payloads and responses."""

    queue_commands: int = 2000
    """Unfinished commands; one more raises `AppendQueueFullError`."""
    queue_bytes: int = 64 * 1024 * 1024
    """Bytes of unfinished commands."""
    batch_commands: int = 500
    """Commands in one call."""
    batch_bytes: int = 4 * 1024 * 1024
    """Bytes in one call; a single larger command travels alone."""
    deadline_s: float = 5.0
    """Seconds from `append` or `append_all` to a result."""
    drain_s: float = 5.0
    """Seconds `close` waits for unfinished commands."""


class Appender:
    """Appends from any number of tasks over one channel. Use it as an async context manager; leaving it drains."""

    def __init__(
        self,
        channel: AppendChannel,
        limits: AppenderLimits | None = None,
        *,
        monotonic_s: Callable[[], float] = clock.monotonic_s,
    ) -> None:
        self._channel = channel
        self._limits = limits or AppenderLimits()
        self._deadlines = Deadlines(self._limits.deadline_s)
        self._monotonic_s = monotonic_s
        self._unfinished: ConflictQueue[PendingAppend] = ConflictQueue()
        self._wake = asyncio.Event()
        self._closing = False
        self._unreachable: str | None = None
        self._task: asyncio.Task[None] | None = None
        QUEUED.set_function(lambda: self._unfinished.count)

    async def __aenter__(self) -> Self:
        """Start sending."""
        self._task = asyncio.create_task(self._run(), name="appender")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drain and close."""
        await self.close()

    @property
    def queued(self) -> int:
        """Return how many commands are unfinished."""
        return self._unfinished.count

    @property
    def is_reachable(self) -> bool:
        """Return whether the last attempt reached PostgreSQL; for readiness."""
        return self._unreachable is None

    async def append(self, command: AppendCommand) -> AppendOutcome:
        """Queue a command and return its outcome; see `EventStore.append` for what is raised when."""
        [result] = await self._results(self._queue((command,), size_bytes(command)))
        if result is None or isinstance(result, EventStoreError):
            raise result or self._deadline_error()
        return result

    async def append_all(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome | EventStoreError]:
        """Queue commands, all or none, and return the outcome of each; see `EventStore.append_all`.

        They travel in one call when they fit and nothing waits in front of them. They have one deadline: the outcome of
        a command that is unfinished by then is `AppendTimeoutError` or `StoreUnavailableError`.
        """
        if not commands:
            return []
        results = await self._results(self._queue(commands, sum(map(size_bytes, commands))))
        return [self._deadline_error() if result is None else result for result in results]

    async def close(self) -> None:
        """Accept no more commands, finish those queued within `drain_s`, close the connection. Safe to repeat."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            if not self._unfinished.count:
                self._task.cancel()  # at most a probe is under way
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(self._task, self._limits.drain_s)
            self._task = None
        self._fail(self._unfinished.drain(), AppendTimeoutError("the event store closed first"))
        await self._channel.close()

    def _queue(self, commands: Sequence[AppendCommand], size: int) -> PendingGroup:
        if self._closing:
            raise StoreUnavailableError("the event store is closing")
        limits, queue = self._limits, self._unfinished
        if queue.count + len(commands) > limits.queue_commands or queue.size_bytes + size > limits.queue_bytes:
            raise AppendQueueFullError(f"{queue.count} commands wait already")
        group = PendingGroup(len(commands))
        deadline_s = self._monotonic_s() + limits.deadline_s
        for index, command in enumerate(commands):
            queue.add(command, PendingAppend(group, index, deadline_s))
        self._wake.set()
        return group

    async def _results(self, group: PendingGroup) -> Sequence[AppendOutcome | EventStoreError | None]:
        """Wait for the results of a group; None stands for one that did not come in time."""
        self._deadlines.begin(group)
        try:
            await group.done
        finally:
            self._deadlines.end(group)
        return group.results

    async def _run(self) -> None:
        while True:
            batch = self._unfinished.take(self._limits.batch_commands, self._limits.batch_bytes)
            if not batch:
                if self._closing:
                    return
                self._wake.clear()
                await self._wait_for_commands()
                continue
            try:
                await self._finish_batch(batch)
            except asyncio.CancelledError:
                self._fail(batch, AppendTimeoutError("the event store closed first"))
                raise
            except Exception as error:  # noqa: BLE001  # a bug here must not leave every later caller waiting
                structlog.get_logger().exception("append.failed", commands=len(batch))
                self._fail(batch, StoreUnavailableError(f"unexpected {type(error).__name__}"))

    async def _wait_for_commands(self) -> None:
        """Wait for commands; while PostgreSQL is unreachable, probe it meanwhile."""
        pause_s = _FIRST_PAUSE_S
        while self._unreachable is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
                    return
            await self._probe()
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        await self._wake.wait()

    async def _probe(self) -> None:
        """Try an append that is rolled back: it meets whatever commands would meet, a full disk as well."""
        try:
            await self._channel.probe()
        except Exception as error:  # noqa: BLE001  # whatever it is, commands would meet it too
            self._note_reachable(str(error))
        else:
            self._note_reachable(None)

    async def _finish_batch(self, batch: list[Queued]) -> None:
        """Send until every command of the batch has a result."""
        pause_s = _FIRST_PAUSE_S
        while batch := self._drop_expired(batch):
            try:
                outcomes = await self._send(batch)
            except BatchRefusedError as error:
                if len(batch) == 1:
                    is_ours = isinstance(error, BatchFailedError)
                    self._fail(batch, (StoreUnavailableError if is_ours else AppendRejectedError)(str(error)))
                    return
                middle = len(batch) // 2
                await self._finish_batch(batch[:middle])
                batch = batch[middle:]
                continue
            except (OutcomeUnknownError, NotNowError) as error:
                self._note_reachable(str(error))
                RESENT.inc()
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                continue
            self._note_reachable(None)
            for queued, outcome in zip(batch, outcomes, strict=True):
                self._finish(queued, own_append(queued.command, outcome) if queued.item.was_sent else outcome)
            return

    async def _send(self, batch: list[Queued]) -> list[AppendOutcome]:
        started_s = self._monotonic_s()
        BATCH_COMMANDS.observe(len(batch))
        try:
            return await self._channel.send([queued.command for queued in batch])
        except OutcomeUnknownError:
            for queued in batch:
                queued.item.was_sent = True
            raise
        finally:
            BATCH_SECONDS.observe(self._monotonic_s() - started_s)

    def _drop_expired(self, batch: list[Queued]) -> list[Queued]:
        now_s = self._monotonic_s()
        expired = [queued for queued in batch if queued.item.deadline_s <= now_s]
        if not expired:
            return batch
        self._fail(expired, self._deadline_error())
        return [queued for queued in batch if queued.item.deadline_s > now_s]

    def _finish(self, queued: Queued, outcome: AppendOutcome) -> None:
        """Report an outcome, and with it that of every chained repetition of the same key, which is known by now."""
        finished = [(queued, outcome)]
        while finished:  # a loop: chains may be longer than Python's stack
            queued, outcome = finished.pop()
            queued.item.set_result(outcome)
            for follower in self._unfinished.finish(queued):
                repeated = outcome_of_repetition(queued.command, outcome, follower.command)
                if repeated is None:
                    self._unfinished.make_ready(follower)
                else:
                    finished.append((follower, repeated))

    def _fail(self, batch: Iterable[Queued], error: EventStoreError) -> None:
        for queued in batch:
            # An instance each: raising one in many callers would mix their tracebacks.
            queued.item.set_result(type(error)(*error.args))
            for freed in self._unfinished.finish(queued):
                self._unfinished.make_ready(freed)

    def _deadline_error(self) -> EventStoreError:
        if self._unreachable is not None:
            return StoreUnavailableError(self._unreachable)
        return AppendTimeoutError(f"no response within {self._limits.deadline_s:g} s")

    def _note_reachable(self, problem: str | None) -> None:
        """Log each change of state once."""
        if (problem is None) != (self._unreachable is None):
            log = structlog.get_logger()
            log.info("append.recovered") if problem is None else log.warning("append.interrupted", reason=problem)
        self._unreachable = problem
