"""Check a read model: fold the log again and compare row by row, from one snapshot, in constant memory.

Both sides are read in the order of order ids from one REPEATABLE READ transaction, with the checkpoints: expected are
only events before a partition's checkpoint, and none that is parked. So workers may run at the same time.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, cast
from uuid import UUID

import orjson
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import JSONB

from domain.errors import DomainError
from infra.event_store.log_reads import COLUMNS, stored_event
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


@dataclass(slots=True)
class Tally:
    """What was compared so far."""

    events: int = 0
    rows: int = 0


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
        records = [
            each
            for each in order
            if each.position <= reached.get(each.partition, 0) and (each.order_id, each.sequence) not in left_out
        ]
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
