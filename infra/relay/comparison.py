"""The topic compared with the event store, record by record: one pass over both, in constant memory.

The store is read in the order of positions, each partition in the order of its offsets; what counts is what a consumer
sees that drops every record whose position is not above the last one. So the topic is whole exactly if each partition's
next such record is the store's next event of that partition, every time.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from infra.clock import monotonic_s
from infra.event_store.protocol import EventStore, StoredEvent
from infra.kafka.clients import BrokerTimeoutError, close, make_reader, responding_within
from infra.kafka.records import ForeignRecordError, TopicRecord, from_record, to_record
from infra.kafka.tail import partitions_of
from infra.kafka.topics import Topic
from infra.partitioning import partition_of

Kind = Literal["missing", "unsent", "unknown", "different"]
"""An event is missing between records, or not sent yet; a record's event is not in the store, or is another there."""

MAX_RUNS: Final = 1_000
"""Differences are listed as runs of positions, so many at most; all are counted."""
_EVENTS: Final = 2_000
_BUFFERED: Final = 500
PATIENCE_S: Final = 2.0
"""How long a running relay may need for the last events."""


@dataclass(slots=True)
class Difference:
    """A run of differences of one kind in a partition: `count` of them, from position `first` to `last`."""

    partition: int
    kind: Kind
    first: int
    last: int
    count: int = 1


@dataclass(slots=True)
class Comparison:
    """What was compared so far, and how it differs; kept up to date, to show progress.

    `ends` has the offset after the last record that was looked at in each partition. `repeats` and `foreign` are
    records that a consumer leaves out, and no differences.
    """

    expected_records: int = 0
    records: int = 0
    events: int = 0
    repeats: int = 0
    foreign: int = 0
    counts: dict[Kind, int] = field(default_factory=dict)
    runs: list[Difference] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    _open: dict[int, Difference] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether nothing differs."""
        return not self.counts

    def equal(self, partition: int) -> None:
        """Note that a record and an event are the same."""
        self._open.pop(partition, None)

    def note(self, partition: int, kind: Kind, position: int) -> None:
        """Note a difference."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        run = self._open.get(partition)
        if run is not None and run.kind == kind:
            run.last, run.count = position, run.count + 1
            return
        self._open[partition] = run = Difference(partition, kind, position, position)
        if len(self.runs) < MAX_RUNS:
            self.runs.append(run)


async def compare(
    store: EventStore,
    bootstrap_servers: str,
    topic: Topic,
    comparison: Comparison,
    *,
    keep: Callable[[ConsumerRecord], None] = lambda _record: None,
    deadline_s: float = 30.0,
    patience_s: float = PATIENCE_S,
) -> None:
    """Compare all that the topic holds now with the store; `comparison` takes the result.

    Args:
        store: is only read.
        bootstrap_servers: of the broker.
        topic: must exist.
        comparison: empty.
        keep: gets every record whose event the store does not hold.
        deadline_s: seconds within which the broker must respond, again and again.
        patience_s: seconds, in all, to wait for events that were just appended.

    Raises:
        BrokerTimeoutError, KafkaError: the broker did not respond, or cannot be reached.
        EventStoreError: the store cannot be read, or its log has a gap.
    """
    head = await store.head()
    async with _open_streams(bootstrap_servers, topic.name, comparison, deadline_s, patience_s) as streams:
        partitions, after = len(comparison.ends), 0
        previous = dict.fromkeys(comparison.ends, 0)
        while events := await store.read_all(after, _EVENTS):
            for event in events:
                partition = partition_of(event.stream_id, partitions)
                await _place(streams, comparison, partition, event, previous[partition], head, keep)
                previous[partition] = event.position
            after = events[-1].position
            comparison.events += len(events)
            if after >= head and streams.are_read():
                break
        for partition in range(partitions):
            while (left := await streams.first(partition)) is not None:
                _unknown(streams, comparison, partition, left, keep)


async def _place(
    streams: "_Streams",
    comparison: Comparison,
    partition: int,
    event: StoredEvent,
    previous: int,
    head: int,
    keep: Callable[[ConsumerRecord], None],
) -> None:
    """Find the record of the next event of a partition."""
    while (found := await streams.first(partition, is_awaited=event.position <= head)) is not None:
        record = found[1]
        if record.position > event.position:
            comparison.note(partition, "missing", event.position)
            return
        if record.position < event.position or record.event_id != event.event_id:
            _unknown(streams, comparison, partition, found, keep)
            continue
        streams.take(partition)
        if _is_same(found[0], event, record.epoch, previous):
            comparison.equal(partition)
        else:
            comparison.note(partition, "different", event.position)
        return
    if event.position <= head:  # later ones were sent, if at all, after the ends were read
        comparison.note(partition, "unsent", event.position)


def _unknown(
    streams: "_Streams",
    comparison: Comparison,
    partition: int,
    found: tuple[ConsumerRecord, TopicRecord],
    keep: Callable[[ConsumerRecord], None],
) -> None:
    streams.take(partition)
    comparison.note(partition, "unknown", found[1].position)
    keep(found[0])


def _is_same(record: ConsumerRecord, event: StoredEvent, epoch: int, previous: int) -> bool:
    """Whether a record says what the event does; headers that an older release did not write may be absent."""
    expected = to_record(event, epoch, previous)
    headers: Sequence[tuple[str, bytes]] = record.headers
    return (record.key, record.value) == (expected.key, expected.value) and set(headers) <= set(expected.headers)


class _Streams:
    """The partitions of a topic, each as the records that a consumer keeps; a bounded number of each is held."""

    def __init__(
        self, reader: AIOKafkaConsumer, comparison: Comparison, topic: str, deadline_s: float, patience_s: float
    ) -> None:
        self._reader = reader
        self._comparison = comparison
        self._topic = topic
        self._deadline_s = deadline_s
        self._held: Mapping[int, deque[tuple[ConsumerRecord, TopicRecord]]] = {
            each: deque() for each in comparison.ends
        }
        self._reached = dict.fromkeys(comparison.ends, 0)
        self._behind = set(comparison.ends)
        self._patience_s = patience_s

    async def first(self, partition: int, *, is_awaited: bool = False) -> tuple[ConsumerRecord, TopicRecord] | None:
        """Return the next record of a partition, None behind the last one; one that is awaited may yet be sent."""
        held, since, seen = self._held[partition], monotonic_s(), self._comparison.records
        while not held:
            if partition in self._behind:
                await self._read(partition)
            elif is_awaited and self._patience_s > 0:
                await self._look_for_more(partition)
            else:
                return None
            if self._comparison.records != seen:
                since, seen = monotonic_s(), self._comparison.records
            elif monotonic_s() - since > self._deadline_s:
                raise BrokerTimeoutError(f"the broker sent nothing of partition {partition} for {self._deadline_s:g} s")
        return held[0]

    def take(self, partition: int) -> None:
        """Go on to the next record."""
        self._held[partition].popleft()

    def are_read(self) -> bool:
        """Whether every record was taken that was there in the beginning."""
        return not self._behind and not any(self._held.values())

    async def _read(self, needed: int) -> None:
        wanted = {each for each in self._behind if len(self._held[each]) < _BUFFERED} | {needed}
        places = [TopicPartition(self._topic, each) for each in wanted]
        for place, records in (await self._reader.getmany(*places, timeout_ms=200, max_records=_BUFFERED)).items():
            end = self._comparison.ends[place.partition]
            for record in records:
                if record.offset >= end:  # sent since: the store may have been read to its end before
                    self._reader.seek(place, end)
                    break
                self._add(place.partition, record)
        for place in places:
            if await self._reader.position(place) >= self._comparison.ends[place.partition]:
                self._behind.discard(place.partition)

    def _add(self, partition: int, record: ConsumerRecord) -> None:
        self._comparison.records += 1
        try:
            parsed = from_record(record)
        except ForeignRecordError:
            self._comparison.foreign += 1
            return
        if parsed.position <= self._reached[partition]:
            self._comparison.repeats += 1
            return
        self._reached[partition] = parsed.position
        self._held[partition].append((record, parsed))

    async def _look_for_more(self, partition: int) -> None:
        """Wait for the relay; in all, and not for each event, as long as it may need."""
        place, since = TopicPartition(self._topic, partition), monotonic_s()
        for records in (await self._reader.getmany(place, timeout_ms=200, max_records=_BUFFERED)).values():
            for record in records:
                self._add(partition, record)
                self._comparison.ends[partition] = record.offset + 1
        self._patience_s -= monotonic_s() - since


@asynccontextmanager
async def _open_streams(
    bootstrap_servers: str, topic: str, comparison: Comparison, deadline_s: float, patience_s: float
) -> AsyncIterator[_Streams]:
    reader = make_reader(bootstrap_servers, client_id="harbor-relay-verify")
    try:
        async with responding_within(deadline_s):
            await reader.start()
            partitions = await partitions_of(reader, topic)
            reader.assign(partitions)
            begins = await reader.beginning_offsets(partitions)
            ends = await reader.end_offsets(partitions)
        comparison.ends = {each.partition: ends[each] for each in partitions}
        comparison.expected_records = sum(ends[each] - begins[each] for each in partitions)
        for each in partitions:
            reader.seek(each, begins[each])
        yield _Streams(reader, comparison, topic, deadline_s, patience_s)
    finally:
        await close(reader)
