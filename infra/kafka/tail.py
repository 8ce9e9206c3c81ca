"""The ends of a topic: the last record of each partition, which is the relay's checkpoint, and the first one.

Reading has no deadline as a whole, because others may have put any number of records there: the broker must answer
within `deadline_s` seconds again and again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import randbelow
from typing import Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from infra.kafka.chain import Chain, Span
from infra.kafka.clients import close, make_reader, responding_within, started_admin
from infra.kafka.records import ForeignRecordError, TopicRecord, from_record

_STEP_BACK: Final = 64
"""Foreign records at the end of a partition are stepped over: 1 record back, then 64, then 4,096, ..."""


_SAMPLE: Final = 100
"""Records of each partition that are looked at where nobody has reason to doubt it."""

_AT_ONCE: Final = 500
"""Records parsed without a pause; a lease must be renewed meanwhile."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last of the relay's records in a partition."""

    position: int
    event_id: UUID


@dataclass(frozen=True, slots=True)
class PartitionEnds:
    """The first offset, the offset after the last record, and what the relay's own first and last records say.

    `before` is the `previous` of the first: 0 unless the partition has lost its beginning. Without such records it is 0
    and `last` is None.
    """

    begin: int
    end: int
    before: int
    last: Tail | None

    @property
    def tail(self) -> int:
        """The position of the last of the relay's records; 0 if there is none."""
        return 0 if self.last is None else self.last.position


async def read_offsets(bootstrap_servers: str, topic: str, *, deadline_s: float) -> Mapping[int, tuple[int, int]]:
    """Return each partition's first offset and the offset after its last record.

    Raises:
        TimeoutError: the broker did not answer within `deadline_s` seconds.
        KafkaError: it cannot be reached, or the topic does not exist.
    """
    async with _reader(bootstrap_servers, deadline_s) as (reader, _):
        partitions = await partitions_of(reader, topic)
        begins = await reader.beginning_offsets(partitions)
        ends = await reader.end_offsets(partitions)
    return {each.partition: (begins[each], ends[each]) for each in partitions}


async def read_ends(bootstrap_servers: str, topic: str, *, deadline_s: float) -> Mapping[int, PartitionEnds]:
    """Return the ends of every partition.

    Raises:
        TimeoutError: the broker did not answer within `deadline_s` seconds.
        KafkaError: it cannot be reached, or the topic does not exist.
    """
    async with _reader(bootstrap_servers, deadline_s) as (reader, extend):
        partitions = await partitions_of(reader, topic)
        reader.assign(partitions)
        begins = await reader.beginning_offsets(partitions)
        ends = await reader.end_offsets(partitions)
        before = await _before_first_records(reader, begins, ends, extend)
        tails = await _last_records(reader, begins, ends, extend)
    return {
        each.partition: PartitionEnds(begins[each], ends[each], before.get(each, 0), tails.get(each))
        for each in partitions
    }


async def find_broken(
    bootstrap_servers: str, topic: str, spans: Mapping[int, Span], *, deadline_s: float
) -> frozenset[int]:
    """Read a span of each partition named, and return the partitions in which an event is missing.

    Raises:
        TimeoutError: the broker did not answer within `deadline_s` seconds.
        KafkaError: it cannot be reached, or the topic does not exist.
    """
    if not spans:
        return frozenset()
    chains = {TopicPartition(topic, partition): Chain.of(span) for partition, span in spans.items()}

    def take(place: TopicPartition, record: TopicRecord) -> bool:
        chains[place].add(record.offset, record.position, record.previous)
        return not chains[place].is_broken

    async with _reader(bootstrap_servers, deadline_s) as (reader, extend):
        reader.assign(list(chains))
        for place, chain in chains.items():
            reader.seek(place, chain.span.start)
        await _read(reader, {place: chain.span.end for place, chain in chains.items()}, take, extend)
    return frozenset(place.partition for place, chain in chains.items() if chain.is_broken)


async def is_whole_at_random(
    bootstrap_servers: str, topic: str, ends: Mapping[int, PartitionEnds], *, deadline_s: float
) -> bool:
    """Return whether some records of each partition, at a place that differs each time, follow each other.

    A repeat may look like a hole here: `find_broken` tells them apart. What was compacted has holes everywhere.

    Raises:
        TimeoutError: the broker did not answer within `deadline_s` seconds.
        KafkaError: it cannot be reached, or the topic does not exist.
    """
    spans = {
        TopicPartition(topic, partition): Span(at, min(at + _SAMPLE, found.end))
        for partition, found in ends.items()
        if found.begin < found.end
        for at in [found.begin + randbelow(max(1, found.end - found.begin - _SAMPLE + 1))]
    }
    if not spans:
        return True
    chains: dict[TopicPartition, Chain] = {}

    def take(place: TopicPartition, record: TopicRecord) -> bool:
        chain = chains.setdefault(place, Chain(spans[place], record.position))
        chain.add(record.offset, record.position, record.previous)
        return not chain.is_broken

    async with _reader(bootstrap_servers, deadline_s) as (reader, extend):
        reader.assign(list(spans))
        for place, span in spans.items():
            reader.seek(place, span.start)
        await _read(reader, {place: span.end for place, span in spans.items()}, take, extend)
    return len(chains) == len(spans) and not any(chain.is_broken for chain in chains.values())


async def purge(bootstrap_servers: str, topic: str, before: Mapping[int, int], *, deadline_s: float) -> None:
    """Delete the records of each partition named whose offset is below the one given.

    Raises:
        TimeoutError: the broker did not answer within `deadline_s` seconds.
        KafkaError: it cannot be reached or refuses; `OffsetOutOfRangeError` if a partition has become shorter than
            that.
    """
    async with started_admin(bootstrap_servers, client_id="harbor-relay-purge", deadline_s=deadline_s) as admin:
        await admin.delete_records(
            {TopicPartition(topic, partition): RecordsToDelete(offset) for partition, offset in before.items()}
        )


@asynccontextmanager
async def _reader(
    bootstrap_servers: str, deadline_s: float
) -> AsyncIterator[tuple[AIOKafkaConsumer, Callable[[], None]]]:
    """Return a started reader, and what puts its deadline off: to be called whenever the broker has answered."""
    reader = make_reader(bootstrap_servers, client_id="harbor-relay-tail")
    try:
        async with responding_within(deadline_s) as limit:
            await reader.start()
            yield reader, lambda: limit.reschedule(asyncio.get_running_loop().time() + deadline_s)
    finally:
        await close(reader)


async def partitions_of(reader: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic in order; the caller limits how long a topic that is new may take to appear."""
    # Right after a topic is created its metadata may not have arrived everywhere: wait for it, under the deadline.
    numbers = await reader._client._wait_on_metadata(topic)  # noqa: SLF001  # no public call waits
    return [TopicPartition(topic, number) for number in sorted(numbers)]


async def _before_first_records(
    reader: AIOKafkaConsumer,
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    extend: Callable[[], None],
) -> dict[TopicPartition, int]:
    before: dict[TopicPartition, int] = {}

    def take(place: TopicPartition, record: TopicRecord) -> bool:
        before.setdefault(place, record.previous)
        return False

    filled = {place: end for place, end in ends.items() if end > begins[place]}
    for place in filled:
        reader.seek(place, begins[place])
    await _read(reader, filled, take, extend)
    return before


async def _last_records(
    reader: AIOKafkaConsumer,
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    extend: Callable[[], None],
) -> dict[TopicPartition, Tail]:
    missing = {place for place in ends if ends[place] > begins[place]}
    tails: dict[TopicPartition, Tail] = {}

    def take(place: TopicPartition, record: TopicRecord) -> bool:
        tails[place] = Tail(record.position, record.event_id)
        return True

    window = 1
    while missing:
        for place in missing:
            reader.seek(place, max(begins[place], ends[place] - window))
        await _read(reader, {place: ends[place] for place in missing}, take, extend)
        missing = {each for each in missing if each not in tails and ends[each] - window > begins[each]}
        window *= _STEP_BACK
    return tails


async def _read(
    reader: AIOKafkaConsumer,
    ends: Mapping[TopicPartition, int],
    take: Callable[[TopicPartition, TopicRecord], bool],
    extend: Callable[[], None],
) -> None:
    """Read each partition from where it was sought to its end, or until `take` wants no more of it."""
    behind = set(ends)
    while behind:
        for place, records in (await reader.getmany(*behind, timeout_ms=200, max_records=_AT_ONCE)).items():
            extend()
            for record in records:
                try:
                    parsed = from_record(record)
                except ForeignRecordError:
                    continue
                if record.offset >= ends[place] or not take(place, parsed):
                    behind.discard(place)
                    break
        # By position, not by what was received: the last offset may hold a transaction marker, which nobody receives.
        behind = {place for place in behind if await reader.position(place) < ends[place]}
