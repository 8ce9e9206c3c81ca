"""The projection worker: take the assigned partitions, apply batch after batch, start over when anything is in doubt.

Every failure (a lost connection, a fenced checkpoint, a rebalance, an unknown commit) is handled in one way: forget the
partitions, take them again and continue from the checkpoints. Repeats are dropped by their positions.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import asyncpg
from aiokafka.errors import KafkaError

from infra.clock import monotonic_s, now
from infra.event_store.protocol import EventStoreError, LogCorruptError
from infra.kafka.topics import TopicsError
from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of
from infra.postgres.checkpoints import Checkpoint, CheckpointKey, take
from infra.postgres.failures import NO_CONNECTION_LEFT
from infra.retry_loop import BACKOFF_S, Cause, RetryLoop
from projections import metrics
from projections.failures import TRANSIENT, TooMuchPoisonError, describe, is_poison
from projections.instance import Instance, InstanceTakenError
from projections.projection import Projection
from projections.read_models.create_tables import create_tables
from projections.sources.broker_watch import BrokerSilentError
from projections.sources.foreign import ForeignRecords
from projections.sources.gaps import Gap, MissedEventsError, read_missed
from projections.sources.store import Assignment, Batch, Source, Start
from projections.transaction import AppliedBatch, FencedError, apply_batch, assert_owned

_CAUSES: Final = (
    Cause(TooMuchPoisonError, "too_many_poison_orders", retry_s=10.0),
    Cause(InstanceTakenError, "instance_id_taken"),
    Cause(MemoryError, "memory_short"),
    Cause(TopicsError, "topic_unusable", each_message=True),
    Cause(KafkaError, "broker_unreachable"),
    Cause(LogCorruptError, "log_corrupt", each_message=True),
    NO_CONNECTION_LEFT,
    Cause((*TRANSIENT, EventStoreError), "database_unreachable"),
)
_SOURCE_ERRORS: Final = (KafkaError, TopicsError)
_BACKOFF_S: Final = (*BACKOFF_S, 2.0)
_SUMMARY_EVERY_S: Final = 1.0
_LOOK_EVERY_S: Final = 2.0
"""How often a worker compares its checkpoints with the table: a write tells it too, but an idle one writes nothing."""


@dataclass(slots=True)
class _Ownership:
    """The partitions of one assignment and their checkpoints as this worker last saw them."""

    assignment: Assignment
    checkpoints: dict[CheckpointKey, Checkpoint]
    looked_at_s: float


@dataclass(slots=True)
class _Summary:
    """What was done since the last summary line."""

    since: float
    events: int = 0
    batches: int = 0
    seconds: float = 0.0
    last_position: int = 0


class Worker:
    """Applies the projections to everything that the source reads, until it is stopped."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        source: Source,
        projections: Sequence[Projection],
        *,
        max_poison_orders: int = 20,
        instance: Instance | None = None,
    ) -> None:
        self._pool = pool
        self._source = source
        self._projections = tuple(projections)
        self._max_poison_orders = max_poison_orders
        self._instance = instance
        self._foreign = None if source.is_truth else ForeignRecords()
        self._ownership: _Ownership | None = None
        self._tables_exist = False
        self._loop = RetryLoop(_CAUSES, _log, _BACKOFF_S)
        self._summary = _Summary(monotonic_s())

    def waiting_for(self) -> tuple[NotReadyReason, ...]:
        """Return why steps fail; nothing while they succeed (a standby without partitions is ready too)."""
        return self._loop.waiting_for()

    @property
    def owned(self) -> frozenset[int]:
        """The partitions that this worker believes it owns."""
        return frozenset() if self._ownership is None else self._ownership.assignment.partitions

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; the step under way is finished first.

        Raises:
            Exception: only what no retry could repair (a programming error outside any projection).
        """
        try:
            await self._loop.run(self._step, stop)
        finally:
            await self._source.close()
            if self._instance is not None:
                await self._instance.let_go()
            self._summarise()

    async def _step(self) -> float:
        try:
            if self._instance is not None:
                await self._instance.hold()
            if not self._tables_exist:
                await self._create_tables()
                self._tables_exist = True
            await self._source.open()
            await self._turn()
        except BrokerSilentError:
            raise  # the source goes on by itself; to leave the group would only cost a session's time
        except Exception as error:
            await self._start_over(error)
            raise
        if self._loop.waiting_for():
            metrics.HALTED.set(0)
        return 0

    async def _create_tables(self) -> None:
        async with self._pool.acquire() as connection:
            created = await create_tables(connection)
        if created:
            get_logger().info("projection.tables_created", tables=created)

    async def _turn(self) -> None:
        assignment = await self._source.assignment()
        if self._ownership is None or self._ownership.assignment.generation != assignment.generation:
            await self._take(assignment)
            return
        batch = await self._source.poll()
        # A rebalance while we waited: the batch belongs to the new owner of its partitions.
        if (await self._source.assignment()).generation != assignment.generation:
            return
        try:
            await self._look(self._ownership)
            if batch.records or batch.next_offsets or batch.scanned_to is not None:
                await self._apply(self._ownership, batch)
        except FencedError as fenced:
            metrics.FENCED.inc()
            get_logger().warning("projection.fenced", partitions=sorted(fenced.partitions))
            self._ownership = None
            self._source.let_go()

    async def _look(self, ownership: _Ownership) -> None:
        """See every few seconds that the partitions are still ours."""
        if ownership.checkpoints and monotonic_s() - ownership.looked_at_s >= _LOOK_EVERY_S:
            async with self._pool.acquire() as connection:
                await assert_owned(connection, ownership.checkpoints)
            ownership.looked_at_s = monotonic_s()

    async def _take(self, assignment: Assignment) -> None:
        """Become the owner of what is assigned, and continue from the slowest projection of each partition."""
        keys = [
            CheckpointKey(projection.name, projection.version, partition)
            for projection in self._projections
            for partition in sorted(assignment.partitions)
        ]
        checkpoints: dict[CheckpointKey, Checkpoint] = {}
        if keys:
            async with self._pool.acquire() as connection:
                checkpoints = await take(connection, keys)
        self._ownership = _Ownership(assignment, checkpoints, monotonic_s())
        self._source.start_at(starts_of(checkpoints.values()))
        metrics.PARTITIONS.set(len(assignment.partitions))
        get_logger().info(
            "projection.assigned", generation=assignment.generation, partitions=sorted(assignment.partitions)
        )

    async def _apply(self, ownership: _Ownership, batch: Batch) -> None:
        started = monotonic_s()
        try:
            outcome = await self._apply_or_isolate(ownership, batch)
        except MissedEventsError as missed:
            await self._fill(ownership, missed.gaps)
            self._ownership = None  # read the topic again from the checkpoints, which have moved
            return
        ownership.checkpoints.update(outcome.checkpoints)
        await self._source.applied(batch.next_offsets)
        self._account(batch, outcome, monotonic_s() - started)

    async def _fill(self, ownership: _Ownership, gaps: Mapping[int, Gap]) -> None:
        """Apply events that the topic lacks, some at a time, so that a long gap delays neither stop nor heartbeat."""
        metrics.MISSED.inc()
        get_logger().warning(
            "projection.missed", partitions=sorted(gaps), after_position=min(gap.after for gap in gaps.values())
        )
        async with self._pool.acquire() as connection:
            batch = await read_missed(connection, gaps, self._source.partitions)
        await self._apply(ownership, batch)

    async def _apply_or_isolate(self, ownership: _Ownership, batch: Batch) -> AppliedBatch:
        """Apply the batch as a whole; if a record is to blame, once more with the search for it."""
        async with self._pool.acquire() as connection:
            arguments = (connection, batch, ownership.checkpoints, self._projections, self._foreign)
            try:
                return await apply_batch(*arguments)
            except (FencedError, MissedEventsError):
                raise
            except Exception as error:
                if not is_poison(error):
                    raise
                get_logger().warning("projection.poison", error=describe(error), events=len(batch.records))
            return await apply_batch(*arguments, isolate=self._max_poison_orders)

    async def _start_over(self, error: Exception) -> None:
        """Forget the partitions; the next step takes them again."""
        self._ownership = None
        metrics.FAILURES.labels(type(error).__name__).inc()
        metrics.HALTED.set(isinstance(error, TooMuchPoisonError))
        if isinstance(error, (*_SOURCE_ERRORS, InstanceTakenError)):
            with suppress(*_SOURCE_ERRORS, *TRANSIENT):
                await self._source.close()

    def _account(self, batch: Batch, outcome: AppliedBatch, seconds: float) -> None:
        records = outcome.records
        metrics.REPEATS.inc(max(0, len(batch.records) - len(records)))
        if not records:
            return
        for projection, parked in outcome.parked:
            metrics.PARKED.labels(projection.name, parked.reason).inc()
            log = get_logger().debug if parked.reason == "behind" else get_logger().error
            log(
                "projection.parked",
                projection=projection.name,
                order_id=parked.record.order_id,
                position=parked.record.position,
                reason=parked.reason,
                error=parked.error,
            )
        for projection in self._projections:
            metrics.APPLIED.labels(projection.name).inc(len(records))
        metrics.BATCH_EVENTS.observe(len(records))
        metrics.APPLY_SECONDS.observe(seconds)
        metrics.VISIBLE_SECONDS.observe(max(0.0, (now() - records[-1].recorded_at).total_seconds()))
        get_logger().debug(
            "projection.applied",
            events=len(records),
            last_position=records[-1].position,
            duration_ms=round(seconds * 1000, 2),
        )
        summary = self._summary
        summary.events += len(records)
        summary.batches += 1
        summary.seconds += seconds
        summary.last_position = max(summary.last_position, records[-1].position)
        if monotonic_s() - summary.since >= _SUMMARY_EVERY_S:
            self._summarise()

    def _summarise(self) -> None:
        summary, self._summary = self._summary, _Summary(monotonic_s())
        if summary.events:
            get_logger().info(
                "projection.summary",
                events=summary.events,
                batches=summary.batches,
                last_position=summary.last_position,
                busy_ms=round(summary.seconds * 1000, 1),
            )


def starts_of(checkpoints: Iterable[Checkpoint]) -> dict[int, Start]:
    """Return where to read each partition from: where its slowest projection stands; pure."""
    starts: dict[int, Start] = {}
    for checkpoint in checkpoints:
        before = starts.get(checkpoint.key.partition)
        if before is None or (checkpoint.last_position, checkpoint.next_offset or 0) < (
            before.last_position,
            before.next_offset or 0,
        ):
            starts[checkpoint.key.partition] = Start(checkpoint.next_offset, checkpoint.last_position)
    return starts


def _log(reason: NotReadyReason | None, error: Exception | None) -> None:
    log = get_logger()
    match error:
        case None:
            log.info("projection.running")
        case TooMuchPoisonError():
            log.critical("projection.halted", waiting_for=reason, reason=reason_of(error))
        case _:
            log.warning("projection.waiting", waiting_for=reason, reason=reason_of(error))
