"""How consumers unpack batches: what aiokafka cannot read is stepped over, what nobody reads any more is let go of.

Otherwise any writer to the topic could stop every reader. Kafka takes header names of any bytes, aiokafka decodes them
as UTF-8 while it iterates over a fetched batch. One such record makes every read of its partition fail, forever. A
batch comes from one producer, and the relay writes no such names: so the whole rest of the batch is foreign, and is
counted as one foreign record.
"""

from collections.abc import Iterator
from typing import Any, Final

from aiokafka import ConsumerRecord
from aiokafka.consumer import fetcher
from prometheus_client import Counter

from infra.clock import monotonic_s
from infra.observability.logs import get_logger

UNREADABLE: Final = Counter("harbor_kafka_unreadable_batches", "Batches stepped over: a header name is not UTF-8")

_LOG_EVERY_S: Final = 1.0


class _Batches:
    """The batches of one fetch; remembers the one being read."""

    def __init__(self, fetched: Any) -> None:  # aiokafka ships no types
        self._fetched = fetched
        self.current: Any = None

    def has_next(self) -> bool:
        """Whether another batch follows."""
        return bool(self._fetched.has_next())

    def next_batch(self) -> Any:  # aiokafka ships no types
        """Return the next batch."""
        self.current = self._fetched.next_batch()
        return self.current


class _Unpacked(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    _quiet_until = float("-inf")
    _records: Any
    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        self._records = batches = _Batches(self._records)
        while batches.has_next():
            try:
                yield from super()._unpack_records()
            except UnicodeDecodeError:
                self._report(self.next_fetch_offset)
                self.next_fetch_offset = batches.current.next_offset

    def _report(self, offset: int) -> None:
        UNREADABLE.inc()
        if monotonic_s() >= _Unpacked._quiet_until:
            _Unpacked._quiet_until = monotonic_s() + _LOG_EVERY_S
            get_logger().warning("kafka.batch_unreadable", partition=self._tp.partition, offset=offset)

    def release(self) -> None:
        """Let go of the batches; nothing can be read after that."""
        if self._records_iterator is not None:
            self._records_iterator.close()


class _PartitionRecords:
    """The records of one fetch from a partition, whose memory is free as soon as nobody refers to them.

    aiokafka's own refer to themselves until they are read to the end. So what a seek or a close drops, which is up to
    1 MB compressed of each partition, would stay until a garbage collection, and those are rare in the relay.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # aiokafka ships no types
        self._unpacked = _Unpacked(*arguments, **options)

    @property
    def next_fetch_offset(self) -> int:
        """The offset after the last record that was read."""
        return self._unpacked.next_fetch_offset

    def __iter__(self) -> Iterator[ConsumerRecord]:
        return iter(self._unpacked)

    def __next__(self) -> ConsumerRecord:
        return next(self._unpacked)

    def __del__(self) -> None:
        self._unpacked.release()


def step_over_unreadable() -> None:
    """Let every consumer of this process step over such batches; safe to repeat."""
    fetcher.PartitionRecords = _PartitionRecords
