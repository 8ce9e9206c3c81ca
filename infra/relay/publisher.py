"""One flush: events grouped by partition, sent as batches, acknowledged by every replica, within a deadline."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from types import TracebackType
from typing import Final, Self

from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from infra.event_store.protocol import StoredEvent
from infra.kafka.clients import CLOSE_DEADLINE_S, abandon, make_producer, responding_within
from infra.kafka.records import to_record

_UNKNOWN_OFFSET: Final = -1
"""What Kafka answers to a batch that it had already: stored, but it no longer knows where."""


class TopicRewoundError(Exception):
    """The topic lost records, or was made again; in `partitions` a batch landed behind the hole."""

    def __init__(self, message: str, partitions: frozenset[int] = frozenset()) -> None:
        super().__init__(message)
        self.partitions = partitions


class Publisher:
    """An idempotent producer for one run; after any error it is thrown away.

    `ends` has the next offset of each partition, `tails` the position of its last event.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        *,
        epoch: int,
        ends: Sequence[int],
        tails: Sequence[int],
        deadline_s: float,
    ) -> None:
        self._producer = make_producer(bootstrap_servers, client_id="harbor-relay")
        self._topic = topic
        self._epoch = epoch
        self._ends = list(ends)
        self._tails = list(tails)
        self._deadline_s = deadline_s

    @property
    def ends(self) -> tuple[int, ...]:
        """The offset after the last acknowledged record of each partition."""
        return tuple(self._ends)

    async def __aenter__(self) -> Self:
        try:
            async with responding_within(self._deadline_s):
                await self._producer.start()
        except BaseException:
            await abandon(self._producer)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                async with asyncio.timeout(CLOSE_DEADLINE_S):
                    await self._producer.stop()
            except (TimeoutError, KafkaError, OSError):
                await abandon(self._producer)
        else:
            await abandon(self._producer)

    async def flush(self, events: Mapping[int, Sequence[StoredEvent]]) -> None:
        """Publish the events of each partition, positions ascending; on return all are acknowledged.

        Raises:
            TopicRewoundError: acknowledged, but at offsets that had been given before.
            TimeoutError, KafkaError: the outcome is unknown, or the place of the records.
        """
        batches = {partition: self._batches(partition, of_partition) for partition, of_partition in events.items()}
        sent: list[tuple[int, int, asyncio.Future[RecordMetadata]]] = []
        try:
            async with responding_within(self._deadline_s):
                # First batches of all partitions, then second ones: a second waits until its first is on its way.
                for rank in zip_longest(*batches.values()):
                    for partition, batch in zip(batches, rank, strict=True):
                        if batch is not None:
                            count = batch.record_count()
                            future = await self._producer.send_batch(batch, self._topic, partition=partition)
                            sent.append((partition, count, future))
                acknowledged = [(partition, count, await future) for partition, count, future in sent]
        finally:
            for _, _, future in sent:
                if not future.cancel() and not future.cancelled():
                    future.exception()  # seen: only the first failure is reported
        self._compare_offsets([(partition, metadata.offset, count) for partition, count, metadata in acknowledged])

    def _batches(self, partition: int, events: Sequence[StoredEvent]) -> list[BatchBuilder]:
        batches = [self._producer.create_batch()]
        epoch, previous = self._epoch, self._tails[partition]
        for event in events:
            record = to_record(event, epoch, previous)
            previous = event.position
            added = batches[-1].append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
            if added is None:
                # Full: an empty batch takes any one record, so this never fails twice.
                batches.append(self._producer.create_batch())
                batches[-1].append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
        for batch in batches:
            batch.close()
        self._tails[partition] = previous
        return batches

    def _compare_offsets(self, acknowledged: Sequence[tuple[int, int, int]]) -> None:
        rewound: set[int] = set()
        for partition, base, count in acknowledged:
            if base == _UNKNOWN_OFFSET:
                raise KafkaError(
                    f"the broker took a batch for partition {partition} twice and does not say where it lies: the ends "
                    "of the topic are read again"
                )
            if base < self._ends[partition]:
                rewound.add(partition)
            self._ends[partition] = base + count
        if rewound:
            raise TopicRewoundError(
                f"records sent to partitions {sorted(rewound)} landed at offsets that had been given before: the "
                "topic has lost its end, or was made again. These partitions are emptied and filled again",
                frozenset(rewound),
            )
