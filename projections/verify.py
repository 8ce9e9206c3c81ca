"""Check a read model: fold the log again and compare row by row, from one snapshot, in constant memory.

Both sides are read in the order of order ids from one REPEATABLE READ transaction, with the checkpoints: expected are
only events before a partition's checkpoint, and none that is parked. So workers may run at the same time. What was left
out for that is counted: a read model without differences is exact only as far as it was compared.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Final, NamedTuple, cast
from uuid import UUID

import orjson
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import JSONB

from domain.errors import DomainError
from infra.event_store.log_reads import COLUMNS, stored_event
from infra.postgres.backlogs import STANDING_S
from infra.postgres.connection import DedicatedConnection
from projections import tables
from projections.failures import describe
from projections.projection import LogRecord, ProjectionError
from projections.read_models import order_timeline, orders
from projections.read_models.columns import Row
from projections.sources.store import cached_partition_of

_PREFETCH: Final = 2_000
_EVENTS: Final = f"SELECT {COLUMNS} FROM harbor.events ORDER BY stream_id, version"
_CHECKPOINTS: Final = "SELECT partition, last_position FROM harbor.checkpoints WHERE projection = $1 AND version = $2"
# Parked or discarded events, and those missing before a gap.
_LEFT_OUT: Final = """
SELECT order_id, generate_series(retry_from, sequence) FROM harbor.dead_letters WHERE projection = $1 AND version = $2
"""
_PARKED: Final = """
SELECT order_id, min(dead_letter_id) AS dead_letter_id, min(sequence) AS sequence, count(*) AS events
FROM harbor.dead_letters WHERE projection = $1 AND version = $2 AND status = 'parked'
GROUP BY order_id ORDER BY min(dead_letter_id)
"""
# Here the whole log is sorted, so scans beat indexes.
_PLANS: Final = "SET LOCAL enable_seqscan = on; SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '64MB'"

Key = tuple[UUID, int]
"""Order and sequence; 0 where a row is a whole order."""

_END: Final[Key] = (UUID(int=2**128 - 1), 0)
"""Behind every key."""


@dataclass(frozen=True, slots=True)
class Verifiable:
    """A read model that can be folded again: its table, whether a row is an event, and how to make an order's rows."""

    name: str
    version: int
    table: Table
    has_sequence: bool
    expected: Callable[[Sequence[LogRecord]], list[Row]]

    def key(self, row: Row) -> Key:
        """Return the key of a row."""
        return cast(Key, row[:2] if self.has_sequence else (row[0], 0))


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that differs from the log; names columns, never values."""

    key: Key
    what: str


class ParkedOrder(NamedTuple):
    """An order that is compared only up to its first parked event."""

    order_id: UUID
    dead_letter_id: int
    sequence: int
    events: int


@dataclass(slots=True)
class Tally:
    """What was compared so far, and what was not: parked orders, and events that no worker has applied yet.

    `started_at` is the database's time of the snapshot; `first_behind_at`, when the first event not applied was
    recorded.
    """

    events: int = 0
    rows: int = 0
    parked: Sequence[ParkedOrder] = ()
    behind: int = 0
    started_at: datetime | None = None
    first_behind_at: datetime | None = None

    @property
    def behind_s(self) -> float:
        """For how long the first event that is not applied had waited; 0.0 when all are applied."""
        if self.started_at is None or self.first_behind_at is None:
            return 0.0
        return max(0.0, (self.started_at - self.first_behind_at).total_seconds())

    @property
    def is_complete(self) -> bool:
        """Whether all was compared but what workers are applying right now."""
        return not self.parked and self.behind_s <= STANDING_S


def _orders_rows(records: Sequence[LogRecord]) -> list[Row]:
    """Return the row of one order, without events after a parked one."""
    prefix = [record for place, record in takewhile(lambda each: each[1].sequence == each[0], enumerate(records, 1))]
    return [orders.row_of(state, last) for state, last in orders.fold({}, prefix).values()]


def _timeline_rows(records: Sequence[LogRecord]) -> list[Row]:
    return [order_timeline.row_of(record) for record in records]


VERIFIABLE: Final[Mapping[str, Verifiable]] = {
    orders.NAME: Verifiable(orders.NAME, tables.ORDERS_VERSION, tables.orders, False, _orders_rows),
    order_timeline.NAME: Verifiable(
        order_timeline.NAME, tables.ORDER_TIMELINE_VERSION, tables.order_timeline, True, _timeline_rows
    ),
}


async def differences(
    connection: DedicatedConnection, model: Verifiable, *, partitions: int, tally: Tally
) -> AsyncIterator[Difference]:
    """Compare a read model with the log and yield every difference, by key.

    `partitions` is the topic's partition count; `tally` is kept current, to show progress.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_PLANS)
        tally.started_at = await connection.fetchval("SELECT now()")
        tally.parked = [ParkedOrder(*row) for row in await connection.fetch(_PARKED, model.name, model.version)]
        expected, actual = _expected(connection, model, partitions, tally), _actual(connection, model)
        wanted: Row | str | None
        row: Row | None
        expected_key, wanted = await anext(expected, None) or (_END, None)
        actual_key, row = await anext(actual, None) or (_END, None)
        while (key := min(expected_key, actual_key)) != _END:
            here, found = wanted if expected_key == key else None, row if actual_key == key else None
            for what in _compared(model, here, found):
                yield Difference(key, what)
            if expected_key == key:
                expected_key, wanted = await anext(expected, None) or (_END, None)
            if actual_key == key:
                actual_key, row = await anext(actual, None) or (_END, None)


def _compared(model: Verifiable, expected: Row | str | None, actual: Row | None) -> list[str]:
    """Return how a row differs from the expected one, which is a text where the log cannot be folded."""
    if isinstance(expected, str):
        return [expected, *_compared(model, None, actual)] if actual else [expected]
    if expected is None:
        return ["is not in the log"]
    if actual is None:
        return ["is missing"]
    columns = zip(model.table.columns, expected, actual, strict=True)
    wrong = [
        column.name for column, value, found in columns if not _equal(value, found, isinstance(column.type, JSONB))
    ]
    return [f"differs in {', '.join(wrong)}"] if wrong else []


def _equal(expected: object, value: object, is_json: bool) -> bool:
    if is_json and isinstance(expected, str) and isinstance(value, str):
        return bool(orjson.loads(expected) == orjson.loads(value))
    return expected == value


async def _actual(connection: DedicatedConnection, model: Verifiable) -> AsyncIterator[tuple[Key, Row]]:
    """Yield the rows of the read model by key."""
    names = ", ".join(column.name for column in model.table.columns)
    order = "order_id, sequence" if model.has_sequence else "order_id"
    select = f"SELECT {names} FROM {model.table.fullname} ORDER BY {order}"
    async for found in connection.cursor(select, prefetch=_PREFETCH):
        row = tuple(found.values())
        yield model.key(row), row


async def _expected(
    connection: DedicatedConnection, model: Verifiable, partitions: int, tally: Tally
) -> AsyncIterator[tuple[Key, Row | str]]:
    """Yield by key the rows that the log makes, or why an order has none."""
    passed = await connection.fetch(_CHECKPOINTS, model.name, model.version)
    reached: dict[int, int] = {row["partition"]: row["last_position"] for row in passed}
    left_out = {tuple(row) for row in await connection.fetch(_LEFT_OUT, model.name, model.version)}
    async for order in _orders(connection, partitions, tally):
        applied = [each for each in order if each.position <= reached.get(each.partition, 0)]
        if behind := order[len(applied) :]:
            tally.behind += len(behind)
            tally.first_behind_at = min(tally.first_behind_at or behind[0].recorded_at, behind[0].recorded_at)
        records = [each for each in applied if (each.order_id, each.sequence) not in left_out]
        try:
            rows = model.expected(records)
        except (ProjectionError, DomainError) as error:
            yield (order[0].order_id, 0), f"the log cannot be folded: {describe(error)}"
            continue
        for row in rows:
            tally.rows += 1
            yield model.key(row), row


async def _orders(connection: DedicatedConnection, partitions: int, tally: Tally) -> AsyncIterator[list[LogRecord]]:
    """Yield the events of each order."""
    order: list[LogRecord] = []
    async for row in connection.cursor(_EVENTS, prefetch=_PREFETCH):
        event = stored_event(row)
        tally.events += 1
        if order and order[0].order_id != event.stream_id:
            yield order
            order = []
        order.append(LogRecord.of(event, cached_partition_of(event.stream_id, partitions)))
    if order:
        yield order
