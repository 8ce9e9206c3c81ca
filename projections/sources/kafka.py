"""The source that reads `orders.events.v1` as a member of a consumer group.

The group only spreads partitions over workers. Where to read is decided by the checkpoints; the group's own offsets are
a hint for lag tools. Nothing on the topic makes this fail: a record that is not one of the relay's is
counted, logged and skipped.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from infra.clock import monotonic_s
from infra.kafka.clients import close
from infra.kafka.records import ForeignRecordError, from_record
from infra.kafka.topics import Topic, check_topics
from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of
from projections import metrics
from projections.projection import LogRecord
from projections.sources.broker_watch import ASK_EVERY_S, BrokerSilentError, BrokerWatch
from projections.sources.foreign import ForeignRecords
from projections.sources.store import MAX_WAIT_S, NOBODY, Assignment, Batch, Start, cached_partition_of

_CONNECT_DEADLINE_S: Final = 10.0
_HINT_EVERY_S: Final = 5.0
_HINT_DEADLINE_S: Final = 1.0
_LET_GO_S: Final = 1.5
"""A little more than the group needs to notify a member that was frozen and has been replaced."""
_MAX_BIGINT: Final = 2**63 - 1
_MAX_INT: Final = 2**31 - 1


class KafkaSource:
    """Reads the topic. `make_consumer` returns a group consumer without a subscription."""

    is_truth = False

    def __init__(
        self,
        bootstrap_servers: str,
        topic: Topic,
        make_consumer: Callable[[], AIOKafkaConsumer],
        *,
        batch: int,
        ask_every_s: float = ASK_EVERY_S,
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self.partitions = topic.partitions
        self._make_consumer = make_consumer
        self._batch = batch
        self._foreign = ForeignRecords()
        self._ask_every_s = ask_every_s
        self._consumer: AIOKafkaConsumer | None = None
        self._watch: BrokerWatch | None = None
        self._generation = 0
        self._assigned = NOBODY
        self._let_go_until: float | None = None
        self._unconfirmed: dict[int, Start] = {}
        self._next_offsets: dict[int, int] = {}
        self._next_hint = 0.0

    async def open(self) -> None:
        """Join the group.

        Raises:
            KafkaError: the broker cannot be reached.
            TopicsError: the topic is missing or not as it must be.
        """
        if self._consumer is not None:
            return
        try:
            await check_topics(self._bootstrap_servers, [self._topic], deadline_s=_CONNECT_DEADLINE_S)
            self._consumer = await self._started()
        except (TimeoutError, OSError) as error:
            raise BrokerSilentError(f"{self._bootstrap_servers}: {reason_of(error)}") from error
        places = [TopicPartition(self._topic.name, partition) for partition in range(self._topic.partitions)]
        self._watch = BrokerWatch(self._consumer, places, self._ask_every_s)
        self._consumer.subscribe(topics=[self._topic.name], listener=_Listener(self._reassigned))

    async def _started(self) -> AIOKafkaConsumer:
        consumer = self._make_consumer()
        try:
            async with asyncio.timeout(_CONNECT_DEADLINE_S):
                await consumer.start()
        except BaseException:
            await close(consumer)
            raise
        return consumer

    async def close(self) -> None:
        """Leave the group (a static member stays a member until its session ends)."""
        self._reassigned(NOBODY)
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await close(consumer)

    async def assignment(self) -> Assignment:
        """Return what the group assigned; nothing for some seconds after the partitions were let go."""
        if self._let_go_until is not None and monotonic_s() >= self._let_go_until:
            self._let_go_until = None
            self._generation += 1
        return Assignment(self._generation, NOBODY if self._let_go_until is not None else self._assigned)

    def start_at(self, starts: Mapping[int, Start]) -> None:
        """Continue each partition at the record *before* its next offset, to see whether the topic is still the same.

        A topic that lost its end, or was created again, holds other records at our offsets. The last record applied
        must be where it was; if it is not, the partition is read from its beginning and positions drop the repeats.
        """
        self._unconfirmed.clear()
        self._next_offsets = {partition: start.next_offset or 0 for partition, start in starts.items()}
        for partition, start in starts.items():
            offset = max(0, (start.next_offset or 0) - 1)
            if start.next_offset:
                self._unconfirmed[partition] = start
            self._seek(TopicPartition(self._topic.name, partition), offset)

    async def poll(self) -> Batch:
        """Return what the broker has; records of one partition in order.

        Raises:
            BrokerSilentError: nothing is known of the broker; the consumer tries again by itself.
            KafkaError: close and open again.
        """
        consumer = self._open_consumer()
        try:
            ends = self._watch.ends() if self._watch is not None else None
        except BrokerSilentError:
            metrics.LAG.clear()
            raise
        found: dict[TopicPartition, list[ConsumerRecord]] = await consumer.getmany(
            timeout_ms=int(MAX_WAIT_S * 1000), max_records=self._batch
        )
        if self._let_go_until is not None:
            return Batch()
        self._rewind_what_was_cut(consumer)
        records: list[LogRecord] = []
        next_offsets: dict[int, int] = {}
        for place, raw in found.items():
            if not self._continues(place, raw[0]):
                continue
            next_offsets[place.partition] = raw[-1].offset + 1
            records.extend(self._parsed(raw))
        self._measure(consumer, next_offsets, ends)
        return Batch(tuple(records), next_offsets)

    async def applied(self, next_offsets: Mapping[int, int]) -> None:
        """Commit offsets to the group every few seconds; a failure does no harm."""
        if not next_offsets or monotonic_s() < self._next_hint:
            return
        self._next_hint = monotonic_s() + _HINT_EVERY_S
        offsets = {
            TopicPartition(self._topic.name, partition): offset
            for partition, offset in next_offsets.items()
            if partition in self._assigned
        }
        with suppress(KafkaError, TimeoutError, OSError, ValueError):
            async with asyncio.timeout(_HINT_DEADLINE_S):
                await self._open_consumer().commit(offsets)

    def let_go(self) -> None:
        """Own nothing until the group assigns again, or for some seconds."""
        self._generation += 1
        self._let_go_until = monotonic_s() + _LET_GO_S

    def _measure(
        self, consumer: AIOKafkaConsumer, next_offsets: Mapping[int, int], ends: Mapping[int, int] | None
    ) -> None:
        """Show how many records wait: in the partitions just read, and in all of ours when their ends are known."""
        self._next_offsets |= next_offsets
        for partition in ends or next_offsets:
            end = ends[partition] if ends else consumer.highwater(TopicPartition(self._topic.name, partition))
            if partition in self._next_offsets and partition in self._assigned and end is not None:
                metrics.LAG.labels(partition).set(max(0, end - self._next_offsets[partition]))

    def _seek(self, place: TopicPartition, offset: int) -> None:
        # Not assigned any more: a rebalance came first, and its new generation will be taken next.
        with suppress(IllegalStateError):
            self._open_consumer().seek(place, offset)

    def _open_consumer(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise KafkaError("the consumer is not open")
        return self._consumer

    def _reassigned(self, partitions: frozenset[int]) -> None:
        self._generation += 1
        self._assigned = partitions
        self._let_go_until = None
        self._next_offsets.clear()
        metrics.LAG.clear()  # what is not known is not 0

    def _continues(self, place: TopicPartition, first: ConsumerRecord) -> bool:
        """Whether the topic is still the one the checkpoint knows; if not, go to its beginning."""
        start = self._unconfirmed.pop(place.partition, None)
        if start is None or start.next_offset is None or first.offset != start.next_offset - 1:
            return True  # further back or further on than asked: the broker had to reset us to its first record
        with suppress(ForeignRecordError):
            if from_record(first).position <= start.last_position:
                return True
        get_logger().warning("projection.rewound", partition=place.partition, offset=first.offset)
        self._seek(place, 0)
        return False

    def _rewind_what_was_cut(self, consumer: AIOKafkaConsumer) -> None:
        """Go to the beginning of partitions that end before the last record applied: it will never arrive.

        Kafka resets an offset behind the end by itself, but one *at* the end looks like a partition that is fully read.
        """
        for place in consumer.assignment():
            start = self._unconfirmed.get(place.partition)
            end = consumer.highwater(place)
            if start is not None and start.next_offset is not None and end is not None and end < start.next_offset:
                del self._unconfirmed[place.partition]
                get_logger().warning("projection.rewound", partition=place.partition, offset=end)
                self._seek(place, 0)

    def _parsed(self, raw: Iterable[ConsumerRecord]) -> Iterable[LogRecord]:
        for message in raw:
            try:
                record = from_record(message)
            except ForeignRecordError as error:
                self._foreign.report(message.partition, message.offset, str(error))
                continue
            if record.position > _MAX_BIGINT or max(record.sequence, record.schema_version) > _MAX_INT:
                self._foreign.report(message.partition, message.offset, "a number is too large")
            elif cached_partition_of(record.order_id, self._topic.partitions) != record.partition:
                self._foreign.report(message.partition, message.offset, "the order lives in another partition")
            else:
                yield LogRecord(
                    position=record.position,
                    partition=record.partition,
                    tenant_id=record.tenant_id,
                    order_id=record.order_id,
                    sequence=record.sequence,
                    type=record.type,
                    schema_version=record.schema_version,
                    event_id=record.event_id,
                    recorded_at=record.recorded_at,
                    payload=record.payload,
                    previous=record.previous,
                )


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Only notes the assignment: the worker takes ownership later. Holds no lock (aiokafka would hang)."""

    def __init__(self, reassigned: Callable[[frozenset[int]], None]) -> None:
        self._reassigned = reassigned

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Stop applying; what is under way is fenced by its epoch."""
        if revoked:
            self._reassigned(NOBODY)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Begin a new generation."""
        metrics.REBALANCES.inc()
        self._reassigned(frozenset(place.partition for place in assigned))
