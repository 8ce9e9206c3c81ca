"""Events that the topic lacks: noticed by each record's `previous`, then read from the event store.

A topic that was created again, or lost its beginning, holds other records at a reader's offset than before, and Kafka
does not say so. Without this check a worker would skip events that it never saw: positions of one partition have gaps
by nature, so a jump alone means nothing. A record names the event before it; a worker that has not reached *that* one
has missed some.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from infra.event_store.log_reads import events_between
from infra.postgres.checkpoints import Checkpoint, CheckpointKey
from infra.postgres.connection import Connection
from projections.projection import LogRecord
from projections.sources.store import Batch, cached_partition_of

FILL_EVENTS: Final = 5_000
"""Events of the log looked at for one step of filling; the next step of the worker fills on."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing in a partition: events after `after`, up to and including `upto`."""

    after: int
    upto: int


class MissedEventsError(Exception):
    """Records came whose predecessors did not; nothing was written."""

    def __init__(self, gaps: Mapping[int, Gap]) -> None:
        super().__init__(f"the topic lacks events of partitions {sorted(gaps)}")
        self.gaps = gaps


def find_gaps(records: Iterable[LogRecord], checkpoints: Mapping[CheckpointKey, Checkpoint]) -> dict[int, Gap]:
    """Return the first gap of each partition, judged by its slowest projection; pure.

    Args:
        records: of each partition in the order they came; repeats may be among them.
        checkpoints: of the owned partitions.
    """
    reached: dict[int, int] = {}
    for key, checkpoint in checkpoints.items():
        reached[key.partition] = min(checkpoint.last_position, reached.get(key.partition, checkpoint.last_position))
    gaps: dict[int, Gap] = {}
    for record in records:
        stands_at = reached.get(record.partition)
        if stands_at is None or record.position <= stands_at:
            continue
        if record.previous > stands_at:
            gaps.setdefault(record.partition, Gap(stands_at, record.previous))
        reached[record.partition] = record.position
    return gaps


async def read_missed(connection: Connection, gaps: Mapping[int, Gap], partitions: int) -> Batch:
    """Return the next of the missed events, at least one; it names no offsets, so the topic is read again.

    Args:
        connection: free of any transaction.
        gaps: by partition.
        partitions: how many there are.
    """
    after, upto = min(gap.after for gap in gaps.values()), max(gap.upto for gap in gaps.values())
    missed: list[LogRecord] = []
    while not missed and (events := await events_between(connection, after, upto, FILL_EVENTS)):
        after = events[-1].position
        placed = [LogRecord.of(event, cached_partition_of(event.stream_id, partitions)) for event in events]
        missed = [each for each in placed if each.partition in gaps and each.position <= gaps[each.partition].upto]
    return Batch(tuple(missed))
