"""Where a worker's events come from: the contract of a source, and the source that tails the event store.

A source assigns partitions, each time under a new generation, and returns batches. It never decides what was applied:
checkpoints do, so any source may repeat events, and one may replace another at any time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol

from infra.event_store.protocol import StoredEvent
from infra.partitioning import partition_of
from infra.postgres.leases import Lease
from infra.postgres.wakeup import Wakeup
from projections import metrics
from projections.projection import LogRecord

MAX_WAIT_S: Final = 0.5
"""How long a source waits for events; then the worker can stop, or notice a new assignment."""

NOBODY: Final[frozenset[int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Assignment:
    """The partitions a worker should own now. Every change has a higher `generation`."""

    generation: int
    partitions: frozenset[int]


@dataclass(frozen=True, slots=True)
class Start:
    """How far the slowest projection came in a partition; `next_offset` is None when Kafka was never its source."""

    next_offset: int | None
    last_position: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read: records of each partition in order, and how far this reaches.

    `next_offsets` (Kafka) is the offset after the last record read of each partition, foreign ones included;
    `scanned_to` (store) is the last position read: no partition holds another event up to there.
    """

    records: tuple[LogRecord, ...] = ()
    next_offsets: Mapping[int, int] = field(default_factory=dict)
    scanned_to: int | None = None


class LogReader(Protocol):
    """The part of `EventStore` that a tail needs."""

    async def read_all(self, after_position: int, limit: int) -> Sequence[StoredEvent]:
        """Return the events after a position; see `EventStore.read_all`."""
        ...


class Source(Protocol):
    """Where events come from. All calls are made by one task."""

    @property
    def is_truth(self) -> bool:
        """Whether the records come from the event store itself; others are checked against it."""
        ...

    @property
    def partitions(self) -> int:
        """How many partitions there are in all."""
        ...

    async def open(self) -> None:
        """Connect; does nothing when connected.

        Raises:
            OSError, TimeoutError, KafkaError, TopicsError: try again later.
        """
        ...

    async def close(self) -> None:
        """Disconnect and give up all partitions; safe to call twice."""
        ...

    async def assignment(self) -> Assignment:
        """Return the present assignment, which may be no partition at all."""
        ...

    def start_at(self, starts: Mapping[int, Start]) -> None:
        """Continue from here: called after ownership of the assigned partitions was taken."""
        ...

    async def poll(self) -> Batch:
        """Return what comes next; an empty batch when nothing came within about a second."""
        ...

    async def applied(self, next_offsets: Mapping[int, int]) -> None:
        """Note that everything before these offsets is applied; only a hint for lag tools."""
        ...

    def let_go(self) -> None:
        """Give the partitions up for a while: another worker owns their checkpoints."""
        ...


cached_partition_of: Final = lru_cache(maxsize=65_536)(partition_of)
"""Returns the partition of an order; cached, because events of an order come close together."""


class StoreSource:
    """Tails the event store: the same partitions and checkpoints as with a broker, one active worker by a lease."""

    is_truth = True

    def __init__(
        self, store: LogReader, lease: Lease, wakeup: Wakeup, *, partitions: int, batch: int, poll_s: float
    ) -> None:
        self._store = store
        self._lease = lease
        self._wakeup = wakeup
        self.partitions = partitions
        self._batch = batch
        self._poll_s = poll_s
        self._after = 0
        self._generation = 0
        self._ownership: AsyncExitStack | None = None
        self._listening: AsyncExitStack | None = None

    async def open(self) -> None:
        """Listen for appends."""
        if self._listening is None:
            stack = AsyncExitStack()
            await stack.enter_async_context(self._wakeup)
            self._listening = stack

    async def close(self) -> None:
        """Release the lease and stop listening."""
        await self._give_up()
        if self._listening is not None:
            listening, self._listening = self._listening, None
            await listening.aclose()

    async def assignment(self) -> Assignment:
        """Return all partitions while the lease is held, none otherwise; a standby looks a few times per second."""
        if self._ownership is not None and not self._lease.is_held():
            await self._give_up()
        if self._ownership is None:
            if not await self._lease.try_acquire():
                await asyncio.sleep(min(MAX_WAIT_S, self._lease.look_every_s))
                return Assignment(self._generation, NOBODY)
            self._ownership = AsyncExitStack()
            await self._ownership.enter_async_context(self._lease.kept())
            self._generation += 1
            metrics.REBALANCES.inc()
        return Assignment(self._generation, frozenset(range(self.partitions)))

    def start_at(self, starts: Mapping[int, Start]) -> None:
        """Continue after the slowest partition; checkpoints drop what the others have already."""
        self._after = min((start.last_position for start in starts.values()), default=0)

    async def poll(self) -> Batch:
        """Return the next events of the log, woken by the append's notification; nothing for a standby."""
        if self._ownership is None:
            return Batch()
        events = await self._store.read_all(self._after, self._batch)
        if not events:
            await self._wakeup.wait(self._wakeup.idle_timeout_s(self._poll_s))
            events = await self._store.read_all(self._after, self._batch)
        if not events:
            return Batch()
        self._after = events[-1].position
        records = tuple(LogRecord.of(event, cached_partition_of(event.stream_id, self.partitions)) for event in events)
        return Batch(records, scanned_to=self._after)

    async def applied(self, next_offsets: Mapping[int, int]) -> None:
        """Do nothing: the checkpoint is enough."""

    def let_go(self) -> None:
        """Compete for the lease again, as a new owner with new epochs."""
        self._generation += 1

    async def _give_up(self) -> None:
        if self._ownership is not None:
            ownership, self._ownership = self._ownership, None
            self._generation += 1
            await ownership.aclose()
