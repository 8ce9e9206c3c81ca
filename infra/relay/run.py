"""One run: find where the topic ends, then publish until stopped; any error ends the run and the next one repairs it.

Batches are flushed one after the other, so when an event is sent all earlier events of its partition are durable. The
next batch is read while the present one is on its way.
"""

import asyncio
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from infra.clock import monotonic_s, now
from infra.event_store.protocol import EventStore, StoredEvent
from infra.kafka.tail import PartitionEnds, find_broken, is_whole_at_random, purge, read_ends, read_offsets
from infra.kafka.topics import Topic, TopicsError, ensure_topics
from infra.observability.logs import get_logger
from infra.partitioning import partition_of
from infra.postgres.leases import Lease
from infra.postgres.pool import Pool
from infra.postgres.wakeup import Wakeup
from infra.relay.log_reader import LogReader
from infra.relay.marks import read_marks, write_marks
from infra.relay.metrics import RelayMetrics
from infra.relay.publisher import Publisher, TopicRewoundError
from infra.relay.resume import EMPTY, Marks, Plan, plan_run, spans_to_follow
from infra.settings import RelaySettings

MARKS_EVERY_S: Final = 1.0
LAG_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Ports:
    """What a relay is connected to; it looks for records that vanished every `offsets_every_s` seconds."""

    store: EventStore
    pool: Pool
    wakeup: Wakeup
    bootstrap_servers: str
    topic: Topic
    settings: RelaySettings
    metrics: RelayMetrics
    offsets_every_s: float = 15.0


class Run:
    """One run under one lease.

    `known` is what an earlier run under the same lease left (read `marks` when it has ended), `rewound` the partitions
    whose offsets it saw go back, `attempted` the last position ever sent to each partition, kept up to date here.
    """

    def __init__(
        self,
        ports: Ports,
        lease: Lease,
        *,
        known: Marks | None,
        rewound: frozenset[int],
        attempted: MutableMapping[int, int],
    ) -> None:
        self._ports = ports
        self._lease = lease
        self._log = LogReader(ports.store, ports.topic.name)
        self._known = known
        self._rewound = rewound
        self._acked: list[int] = []
        self._begins: tuple[int, ...] = ()
        self._ends: tuple[int, ...] = ()
        self._low_water = 0
        self._whole_at = 0
        self._attempted = attempted
        self._written: Marks | None = None
        self._next_marks = self._next_offsets = self._next_lag = monotonic_s()

    @property
    def marks(self) -> Marks | None:
        """What is acknowledged for certain; `None` before the ends of the topic were read."""
        return Marks(self._low_water, tuple(self._acked), self._ends) if self._acked else self._known

    @property
    def is_mending(self) -> bool:
        """Whether events that the topic held before are still being sent again."""
        return self._low_water < self._whole_at

    async def publish(self, stop: asyncio.Event, started: Callable[[Plan], None]) -> None:
        """Publish until `stop` is set or the lease is lost; `started` is called when the topic's ends are known.

        Raises:
            TopicAheadOfStoreError: nothing was sent.
            TopicRewoundError: the topic lost records; a new run repairs it.
            Exception: whatever broker or database raised; what was under way may have arrived.
        """
        try:
            await self._publish(stop, started)
        except TopicsError:
            # A topic that was compacted for a while may have lost any of its records: whoever leads next, in whatever
            # process, has to follow them all.
            await self._doubt()
            raise

    async def _publish(self, stop: asyncio.Event, started: Callable[[Plan], None]) -> None:
        ends, plan = await self._resume()
        if not self._lease.is_held():
            return  # looking may take long, and what follows deletes
        await self._mend(ends, plan)
        ports = self._ports
        ports.metrics.position.set(plan.start)
        started(plan)
        async with Publisher(
            ports.bootstrap_servers,
            ports.topic.name,
            epoch=self._lease.epoch,
            ends=self._ends,
            tails=self._acked,
            deadline_s=ports.settings.flush_deadline_s,
        ) as publisher:
            await self._publish_after(plan, publisher, stop)
            await self._note_down()

    async def _resume(self) -> tuple[Mapping[int, PartitionEnds], Plan]:
        ports, deadline_s = self._ports, self._ports.settings.flush_deadline_s
        # First, so that they can be doubted.
        is_first = self._known is None
        self._known = marks = self._known or await read_marks(ports.pool, ports.topic.name)
        # Also here and not only at installation: a topic that somebody deleted comes back by itself.
        created = await ensure_topics(ports.bootstrap_servers, [ports.topic], deadline_s=deadline_s)
        if created:
            get_logger().warning("relay.topic_created", topic=ports.topic.name)
        ends = await read_ends(ports.bootstrap_servers, ports.topic.name, deadline_s=deadline_s)
        await self._log.compare(ends)
        spans = spans_to_follow(ends, marks)
        if is_first and not await is_whole_at_random(
            ports.bootstrap_servers, ports.topic.name, ends, deadline_s=deadline_s
        ):
            spans = spans_to_follow(ends, None)  # compacted perhaps while no relay looked, or only repeated
        broken = await find_broken(ports.bootstrap_servers, ports.topic.name, spans, deadline_s=deadline_s)
        plan = plan_run(ends, marks, self._rewound | broken)
        if spans:
            await self._log.compare(ends)  # again: following records may have taken long
        await self._log.start(plan.start)
        return ends, plan

    async def _mend(self, ends: Mapping[int, PartitionEnds], plan: Plan) -> None:
        """Delete what cannot be mended otherwise, and take the plan's place in the log."""
        ports, end_of = self._ports, {partition: found.end for partition, found in ends.items()}
        if plan.purge or plan.cut:
            ports.metrics.mended.labels("purged").inc(len(plan.purge))
            ports.metrics.mended.labels("filled").inc(len(plan.cut))
            get_logger().warning(
                "relay.records_lost",
                topic=ports.topic.name,
                without_end=sorted(plan.cut),
                with_hole=sorted(plan.purge),
                reason="records of these partitions were deleted or lost. Those without their end get it again; those "
                "that lack earlier events are emptied and filled again from the first event on",
            )
        if plan.purge:
            # Up to the end that was looked at, and no further: what another relay may have sent since then stays.
            await purge(
                ports.bootstrap_servers,
                ports.topic.name,
                {each: end_of[each] for each in plan.purge},
                deadline_s=ports.settings.flush_deadline_s,
            )
        numbers = range(len(ends))
        self._begins = tuple(end_of[each] if each in plan.purge else ends[each].begin for each in numbers)
        self._ends = tuple(end_of[each] for each in numbers)
        self._acked = [EMPTY if each in plan.purge else ends[each].tail for each in numbers]
        self._low_water, self._whole_at = plan.start, plan.whole_at
        if plan.purge or plan.cut:
            await self._note_down()  # before the first record: older marks would vouch for what is gone

    async def _publish_after(self, plan: Plan, publisher: Publisher, stop: asyncio.Event) -> None:
        limit = self._ports.settings.batch
        reading = asyncio.create_task(self._log.read(limit))
        try:
            while not stop.is_set():
                events = await reading
                if events:
                    is_backlog = len(events) >= limit
                    if is_backlog:
                        reading = asyncio.create_task(self._log.read(limit))  # while this batch is on its way
                    if not self._lease.is_held():
                        return
                    await self._flush(events, plan, publisher)
                    if not is_backlog:
                        reading = asyncio.create_task(self._log.read(limit))
                    await self._look_around(is_backlog=is_backlog)
                else:
                    await self._look_around(is_backlog=False)
                    if not self._lease.is_held():
                        return
                    wakeup = self._ports.wakeup
                    await wakeup.wait(wakeup.idle_timeout_s(self._ports.settings.poll_s))
                    reading = asyncio.create_task(self._log.read(limit))
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await reading

    async def _flush(self, events: Sequence[StoredEvent], plan: Plan, publisher: Publisher) -> None:
        by_partition: dict[int, list[StoredEvent]] = {}
        partitions, held = len(plan.held), plan.held
        for event in events:
            partition = partition_of(event.stream_id, partitions)
            if event.position > held[partition]:
                by_partition.setdefault(partition, []).append(event)
        if by_partition:
            await self._send(by_partition, publisher)
        self._low_water = events[-1].position
        self._ports.metrics.position.set(self._low_water)

    async def _send(self, by_partition: Mapping[int, Sequence[StoredEvent]], publisher: Publisher) -> None:
        metrics = self._ports.metrics
        count = sum(map(len, by_partition.values()))
        oldest = min(of_partition[0].recorded_at for of_partition in by_partition.values())
        metrics.oldest_unsent = oldest
        self._note_attempt(by_partition)
        started_at = monotonic_s()
        await publisher.flush(by_partition)
        metrics.publish_s.observe(monotonic_s() - started_at)
        metrics.commit_to_publish_s.observe(max(0.0, (now() - oldest).total_seconds()))
        metrics.batch_events.observe(count)
        metrics.published.inc(count)
        metrics.oldest_unsent = None
        for partition, of_partition in by_partition.items():
            self._acked[partition] = of_partition[-1].position
        self._ends = publisher.ends

    def _note_attempt(self, by_partition: Mapping[int, Sequence[StoredEvent]]) -> None:
        for partition, events in by_partition.items():
            before = self._attempted.get(partition, EMPTY)
            if events[0].position <= before:
                self._ports.metrics.repeats.inc(sum(event.position <= before for event in events))
            self._attempted[partition] = max(before, events[-1].position)

    async def _look_around(self, *, is_backlog: bool) -> None:
        """Do from time to time what need not be done per batch."""
        at = monotonic_s()
        if not is_backlog:
            self._ports.metrics.lag_events.set(0)
        elif at >= self._next_lag:
            self._next_lag = at + LAG_EVERY_S
            self._ports.metrics.lag_events.set(max(0, await self._ports.store.head() - self._low_water))
        if at >= self._next_marks:
            self._next_marks = at + MARKS_EVERY_S
            await self._note_down()
        if at >= self._next_offsets:
            self._next_offsets = at + self._ports.offsets_every_s
            await self._compare_with_topic()

    async def _note_down(self) -> None:
        marks = self.marks
        if marks is not None and marks != self._written:
            await write_marks(self._ports.pool, self._ports.topic.name, marks, self._lease.epoch)
            self._written = marks

    async def _doubt(self) -> None:
        """Make the marks vouch for nothing, here and in the database."""
        marks = self.marks
        if marks is not None:
            self._acked, self._known = [], marks.doubted()
            await self._note_down()

    async def _compare_with_topic(self) -> None:
        """Notice a topic that lost records at either end, though nobody is sending: the next run fills it again."""
        ports, deadline_s = self._ports, self._ports.settings.flush_deadline_s
        # A topic whose records are about to be deleted by age, or one by one, raises the alarm before they are.
        created = await ensure_topics(ports.bootstrap_servers, [ports.topic], deadline_s=deadline_s)
        if created:
            raise TopicRewoundError(
                f"topic {ports.topic.name} was deleted: it is made again, and all of it is sent again"
            )
        offsets = await read_offsets(ports.bootstrap_servers, ports.topic.name, deadline_s=deadline_s)
        for partition, (begin, end) in enumerate(zip(self._begins, self._ends, strict=True)):
            found_begin, found_end = offsets.get(partition, (0, 0))
            if found_begin != begin or found_end < end:
                raise TopicRewoundError(
                    f"partition {partition} should hold the offsets {begin} to {end} and holds {found_begin} to "
                    f"{found_end}: records were deleted or lost. What is missing is sent again"
                )
