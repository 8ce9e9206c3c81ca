"""Step over batches that aiokafka cannot read: otherwise any writer to the topic could stop every reader.

Kafka takes header names of any bytes, aiokafka decodes them as UTF-8 while it iterates over a fetched batch. One such
record makes every read of its partition fail, forever. A batch comes from one producer, and the relay writes no such
names: so the whole rest of the batch is foreign, and is counted as one foreign record.
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


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
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
        if monotonic_s() >= _PartitionRecords._quiet_until:
            _PartitionRecords._quiet_until = monotonic_s() + _LOG_EVERY_S
            get_logger().warning("kafka.batch_unreadable", partition=self._tp.partition, offset=offset)


def step_over_unreadable() -> None:
    """Let every consumer of this process step over such batches; safe to repeat."""
    fetcher.PartitionRecords = _PartitionRecords
