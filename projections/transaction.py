"""One batch, one transaction: checkpoints by compare-and-set, read models, dead letters, notification.

The checkpoints move first. Their rows stay locked until the commit, so a worker that takes the partition over waits for
the commit and then continues exactly there; if it was faster, our checkpoints do not move and nothing is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from infra.event_store.log_reads import events_at, identities
from infra.postgres.checkpoints import Advance, Checkpoint, CheckpointKey, advance, read
from infra.postgres.connection import Connection
from projections.dead_letters.isolation import apply_or_park
from projections.dead_letters.store import ParkedEvent, park, parked_behind, parked_orders
from projections.notifications import notify
from projections.projection import LogRecord, Projection
from projections.sources.foreign import ForeignRecords
from projections.sources.gaps import MissedEventsError, find_gaps
from projections.sources.store import Batch

_IDLE_STEP: Final = 10_000
"""How many positions an idle partition's checkpoint may fall behind before it is moved without events."""

Checkpoints = Mapping[CheckpointKey, Checkpoint]


class FencedError(Exception):
    """A checkpoint is not ours any more: another worker owns it, or it was set back; nothing was written."""

    def __init__(self, partitions: frozenset[int]) -> None:
        super().__init__(f"another worker owns partitions {sorted(partitions)}, or they were set back")
        self.partitions = partitions


@dataclass(frozen=True, slots=True)
class AppliedBatch:
    """What a transaction did: checkpoints as they are now, records applied or parked, and the events parked."""

    checkpoints: Checkpoints = field(default_factory=dict)
    records: tuple[LogRecord, ...] = ()
    parked: tuple[tuple[Projection, ParkedEvent], ...] = ()


async def apply_batch(
    connection: Connection,
    batch: Batch,
    checkpoints: Checkpoints,
    projections: Sequence[Projection],
    foreign: ForeignRecords | None,
    *,
    isolate: int | None = None,
) -> AppliedBatch:
    """Apply a batch and move the checkpoints, all or nothing.

    Args:
        connection: free of any transaction.
        batch: may hold repeats; `checkpoints` say what is new.
        checkpoints: the owned rows as last seen, for every projection and owned partition.
        projections: applied in this order.
        foreign: where to report records that the event store does not know; None when it is the source.
        isolate: None: fail as a whole. Else read the events from the event store and park those that fail, as long as
            at most so many orders are parked within an hour.

    Raises:
        FencedError: another worker took a partition; nothing was written.
        MissedEventsError: the topic lacks events before these; nothing was written.
        TooMuchPoisonError: more orders than `isolate` would have to be parked; nothing was written.
        Exception: a projection failed; nothing was written. With `isolate` only if no record is to blame.
    """
    async with connection.transaction():
        records: Sequence[LogRecord] = batch.records
        if foreign is not None:
            records = await _verified(connection, records, checkpoints, foreign, take_originals=isolate is not None)
        fresh = {projection.name: unapplied(records, checkpoints, projection) for projection in projections}
        moves = moves_of(batch, fresh, checkpoints, projections)
        moved = await advance(connection, moves) if moves else {}
        if len(moved) < len(moves):
            raise FencedError(frozenset(m.seen.key.partition for m in moves if m.seen.key not in moved))
        parked: list[tuple[Projection, ParkedEvent]] = []
        if any(fresh.values()):
            parked = await _apply(connection, projections, fresh, isolate=isolate)
            await notify(connection, moved.values())
    most = max(fresh.values(), key=len, default=())
    return AppliedBatch(moved, tuple(most), tuple(parked))


async def assert_owned(connection: Connection, checkpoints: Checkpoints) -> None:
    """Check that `checkpoints` are still as last seen; a worker that writes nothing learns it only here.

    Raises:
        FencedError: another worker took a partition, or an operator set it back.
    """
    present = await read(connection, checkpoints.keys())
    lost = frozenset(
        key.partition
        for key, seen in checkpoints.items()
        if (now := present.get(key)) is None
        or (now.owner_epoch, now.last_position) != (seen.owner_epoch, seen.last_position)
    )
    if lost:
        raise FencedError(lost)


async def _verified(
    connection: Connection,
    records: Sequence[LogRecord],
    checkpoints: Checkpoints,
    foreign: ForeignRecords,
    *,
    take_originals: bool,
) -> Sequence[LogRecord]:
    """Return the records from the topic that the event store knows; none may be missing before them."""
    genuine = await _genuine(connection, records, foreign)
    if gaps := find_gaps(genuine, checkpoints):
        raise MissedEventsError(gaps)
    return await _originals(connection, genuine) if take_originals else genuine


async def _apply(
    connection: Connection,
    projections: Sequence[Projection],
    fresh: Mapping[str, Sequence[LogRecord]],
    *,
    isolate: int | None,
) -> list[tuple[Projection, ParkedEvent]]:
    orders = await parked_orders(connection, {record.order_id for records in fresh.values() for record in records})
    parked: list[tuple[Projection, ParkedEvent]] = []
    gaps: dict[UUID, ParkedEvent] = {}
    for projection in projections:
        held = orders.get((projection.name, projection.version), set())
        free: list[LogRecord] = []
        found: list[ParkedEvent] = []
        for record in fresh[projection.name]:
            # Events that never arrived are missing for every projection, even one that cannot see the gap.
            gap = gaps.get(record.order_id)
            if record.order_id in held or (gap is not None and record.sequence > gap.record.sequence):
                found.append(parked_behind(record))
            elif gap is not None and record.sequence == gap.record.sequence:
                found.append(gap)
            else:
                free.append(record)
        if isolate is not None:
            found += await apply_or_park(connection, projection, free, isolate)
        elif free:
            await projection.apply(connection, free)
        if found:
            await park(connection, projection, found)
        gaps |= {event.record.order_id: event for event in found if event.reason == "gap"}
        parked += [(projection, event) for event in found]
    return parked


async def _genuine(
    connection: Connection, records: Sequence[LogRecord], foreign: ForeignRecords
) -> Sequence[LogRecord]:
    """Return the records that the event store holds at their position.

    Without this a forged position would move a checkpoint past events that have not arrived yet.
    """
    if not records:
        return records
    known = await identities(connection, {record.position for record in records})
    genuine: list[LogRecord] = []
    for record in records:
        if known.get(record.position) == (record.event_id, record.order_id, record.sequence, record.tenant_id):
            genuine.append(record)
        else:
            foreign.report(record.partition, record.position, "the event store has no such event")
    return genuine


async def _originals(connection: Connection, records: Sequence[LogRecord]) -> Sequence[LogRecord]:
    """Return the same records from the event store: the topic may have damaged them."""
    stored = await events_at(connection, {record.position for record in records})
    return [LogRecord.of(stored[record.position], record.partition) for record in records]


def unapplied(records: Iterable[LogRecord], checkpoints: Checkpoints, projection: Projection) -> Sequence[LogRecord]:
    """Return the records this projection has not applied, each once, by position; pure."""
    last = {
        key.partition: checkpoint.last_position
        for key, checkpoint in checkpoints.items()
        if (key.projection, key.version) == (projection.name, projection.version)
    }
    fresh: list[LogRecord] = []
    for record in records:
        # A partition that is not in `last` is not ours, or not any more.
        if record.position > last.get(record.partition, record.position):
            last[record.partition] = record.position
            fresh.append(record)
    fresh.sort(key=lambda record: record.position)
    return fresh


def moves_of(
    batch: Batch,
    fresh: Mapping[str, Sequence[LogRecord]],
    checkpoints: Checkpoints,
    projections: Sequence[Projection],
) -> list[Advance]:
    """Return the checkpoint moves of a batch; pure.

    A partition moves when it has new records or a new offset. One that is far behind what was scanned moves without
    events, so that a restart need not read the same history again.
    """
    moves: list[Advance] = []
    for projection in projections:
        newest: dict[int, LogRecord] = {}
        counts: dict[int, int] = {}
        for record in fresh[projection.name]:
            newest[record.partition] = record
            counts[record.partition] = counts.get(record.partition, 0) + 1
        for key, seen in checkpoints.items():
            if (key.projection, key.version) != (projection.name, projection.version):
                continue
            last = newest.get(key.partition)
            next_offset = batch.next_offsets.get(key.partition)
            position = last.position if last else seen.last_position
            if batch.scanned_to is not None and batch.scanned_to - position >= _IDLE_STEP:
                position = batch.scanned_to
            if last or position > seen.last_position or (next_offset is not None and next_offset != seen.next_offset):
                moves.append(
                    Advance(
                        seen, position, counts.get(key.partition, 0), next_offset, last.recorded_at if last else None
                    )
                )
    return moves
