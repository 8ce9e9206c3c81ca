"""The end of a topic: the last record of each partition, which is the relay's checkpoint."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.kafka.clients import close, make_reader
from infra.kafka.records import ForeignRecordError, from_record

_STEP_BACK: Final = 64
"""Foreign records at the end of a partition are stepped over: 1 record back, then 64, then 4,096, ..."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last of the relay's records in a partition."""

    position: int
    event_id: UUID


async def read_tails(bootstrap_servers: str, topic: str, *, deadline_s: float) -> Mapping[int, Tail]:
    """Give the last record of every partition of a topic that exists; a partition without one is left out.

    Raises:
        TimeoutError: the broker did not answer within `deadline_s` seconds.
        KafkaError: it cannot be reached.
    """
    reader = make_reader(bootstrap_servers, client_id="harbor-relay-tail")
    try:
        async with asyncio.timeout(deadline_s):
            await reader.start()
            return await _last_records(reader, topic)
    finally:
        await close(reader)


async def _last_records(reader: AIOKafkaConsumer, topic: str) -> dict[int, Tail]:
    reader.assign(await _partitions(reader, topic))
    begins = await reader.beginning_offsets(list(reader.assignment()))
    ends = await reader.end_offsets(list(reader.assignment()))
    missing = {partition for partition in ends if ends[partition] > begins[partition]}
    tails: dict[int, Tail] = {}
    window = 1
    while missing:
        for partition in missing:
            reader.seek(partition, max(begins[partition], ends[partition] - window))
        found = await _read_to(reader, {partition: ends[partition] for partition in missing})
        tails |= {partition.partition: tail for partition, tail in found.items()}
        missing -= {partition for partition in missing if ends[partition] - window <= begins[partition]} | set(found)
        window *= _STEP_BACK
    return tails


async def _partitions(reader: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    while True:
        # Right after a topic is created its metadata may not have reached every broker.
        partitions = await reader._client._wait_on_metadata(topic)  # noqa: SLF001  # no public call waits
        if partitions:
            return [TopicPartition(topic, partition) for partition in partitions]


async def _read_to(reader: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, Tail]:
    """Read each partition from where it was sought to its end; give the last of our records seen in each."""
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
