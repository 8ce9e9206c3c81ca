"""The ends of a topic: the last record of each partition, which is the relay's checkpoint."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from infra.kafka.clients import close, make_reader, started_admin
from infra.kafka.records import ForeignRecordError, from_record

_STEP_BACK: Final = 64
"""Foreign records at the end of a partition are stepped over: 1 record back, then 64, then 4,096, ..."""
_TO_THE_END: Final = -1


@dataclass(frozen=True, slots=True)
class Tail:
    """The last of the relay's records in a partition."""

    position: int
    event_id: UUID


@dataclass(frozen=True, slots=True)
class PartitionEnds:
    """The offset after the last record, and the last of the relay's records, if there is any."""

    end: int
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
    async with _reader(bootstrap_servers, deadline_s) as reader:
        partitions = await _partitions(reader, topic)
        begins = await reader.beginning_offsets(partitions)
        ends = await reader.end_offsets(partitions)
    return {each.partition: (begins[each], ends[each]) for each in partitions}


async def read_ends(bootstrap_servers: str, topic: str, *, deadline_s: float) -> Mapping[int, PartitionEnds]:
    """Return the ends of every partition.

    Raises:
        TimeoutError: the broker did not answer within `deadline_s` seconds.
        KafkaError: it cannot be reached, or the topic does not exist.
    """
    async with _reader(bootstrap_servers, deadline_s) as reader:
        partitions = await _partitions(reader, topic)
        reader.assign(partitions)
        begins = await reader.beginning_offsets(partitions)
        ends = await reader.end_offsets(partitions)
        tails = await _last_records(reader, begins, ends)
    return {each.partition: PartitionEnds(ends[each], tails.get(each)) for each in partitions}


async def purge(bootstrap_servers: str, topic: str, partitions: Collection[int], *, deadline_s: float) -> None:
    """Delete all records that some partitions hold now.

    Raises:
        TimeoutError: the broker did not answer within `deadline_s` seconds.
        KafkaError: it cannot be reached or refuses.
    """
    everything = RecordsToDelete(before_offset=_TO_THE_END)
    async with started_admin(bootstrap_servers, client_id="harbor-relay-purge", deadline_s=deadline_s) as admin:
        await admin.delete_records({TopicPartition(topic, partition): everything for partition in partitions})


@asynccontextmanager
async def _reader(bootstrap_servers: str, deadline_s: float) -> AsyncIterator[AIOKafkaConsumer]:
    reader = make_reader(bootstrap_servers, client_id="harbor-relay-tail")
    try:
        async with asyncio.timeout(deadline_s):
            await reader.start()
            yield reader
    finally:
        await close(reader)


async def _partitions(reader: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    # Right after a topic is created its metadata may not have arrived everywhere: wait for it, under the deadline.
    numbers = await reader._client._wait_on_metadata(topic)  # noqa: SLF001  # no public call waits
    return [TopicPartition(topic, number) for number in sorted(numbers)]


async def _last_records(
    reader: AIOKafkaConsumer, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Tail]:
    missing = {partition for partition in ends if ends[partition] > begins[partition]}
    tails: dict[TopicPartition, Tail] = {}
    window = 1
    while missing:
        for partition in missing:
            reader.seek(partition, max(begins[partition], ends[partition] - window))
        tails |= await _read_to(reader, {partition: ends[partition] for partition in missing})
        missing = {each for each in missing if each not in tails and ends[each] - window > begins[each]}
        window *= _STEP_BACK
    return tails


async def _read_to(reader: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, Tail]:
    """Read each partition from where it was sought to its end; return the last of our records in each."""
    found: dict[TopicPartition, Tail] = {}
    behind = set(ends)
    while behind:
        for partition, records in (await reader.getmany(*behind, timeout_ms=200)).items():
            for record in records:
                try:
                    parsed = from_record(record)
                except ForeignRecordError:
                    continue
                found[partition] = Tail(parsed.position, parsed.event_id)
        # By position, not by what was received: the last offset may hold a transaction marker, which nobody receives.
        behind = {partition for partition in behind if await reader.position(partition) < ends[partition]}
    return found
