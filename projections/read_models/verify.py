"""Is a read model exact? Fold the log again and compare row by row, from one snapshot, in constant memory.

Both sides are read sorted by order from one REPEATABLE READ transaction, together with the checkpoints: only events a
partition's checkpoint has passed are expected, and none that is parked. So this may run beside working workers.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import JSONB

from domain.errors import DomainError
from infra.event_store.log_reads import COLUMNS, stored_event
from infra.postgres.connection import DedicatedConnection
from projections import tables
from projections.failures import describe
from projections.read_models import order_timeline, orders
from projections.read_models.columns import Row
from projections.read_models.projection import LogRecord, ProjectionError
from projections.sources.store import shard

_UNKNOWN: Final = "is not in the log"
_PREFETCH: Final = 2_000
_EVENTS: Final = f"SELECT {COLUMNS} FROM harbor.events ORDER BY stream_id, version"
_CHECKPOINTS: Final = "SELECT partition, last_position FROM harbor.checkpoints WHERE projection = $1 AND version = $2"
_LETTERS: Final = """
SELECT order_id, sequence, retry_from FROM harbor.dead_letters WHERE projection = $1 AND version = $2
"""
# Sorting the whole log is the work here, not a look-up by index.
_PLANS: Final = "SET LOCAL enable_seqscan = on; SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '64MB'"

Key = tuple[UUID, int]
"""Order and sequence; 0 for a row that is a whole order."""


@dataclass(frozen=True, slots=True)
class Verifiable:
    """A read model that can be folded again: its table, whether a row is an event, and the rows of one order."""

    name: str
    version: int
    table: Table
    has_sequence: bool
    expected: Callable[[Sequence[LogRecord]], list[Row]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not what the log says; names columns, never values."""

    key: Key
    what: str


@dataclass(slots=True)
class Tally:
    """What was compared so far."""

    events: int = 0
    rows: int = 0


def _orders_rows(records: Sequence[LogRecord]) -> list[Row]:
    """Return the row of one order; events after a parked one are not folded."""
    prefix = [record for place, record in takewhile(lambda each: each[1].sequence == each[0], enumerate(records, 1))]
    return [orders.row_of(state, last) for state, last in orders.fold({}, prefix).values()]


def _timeline_rows(records: Sequence[LogRecord]) -> list[Row]:
    return [order_timeline.row_of(record) for record in records]


VERIFIABLE: Final[Mapping[str, Verifiable]] = {
    orders.NAME: Verifiable(orders.NAME, tables.ORDERS_VERSION, tables.orders, False, _orders_rows),
    order_timeline.NAME: Verifiable(
        order_timeline.NAME,
        tables.ORDER_TIMELINE_VERSION,
        tables.order_timeline,
        True,
        _timeline_rows,
    ),
}


async def differences(
    connection: DedicatedConnection, model: Verifiable, *, partitions: int, tally: Tally
) -> AsyncIterator[Difference]:
    """Compare a read model with the log; `tally` is kept current for whoever shows progress.

    Give every difference, by key. `partitions` is the topic's partition count.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_PLANS)
        passed = await connection.fetch(_CHECKPOINTS, model.name, model.version)
        reached: dict[int, int] = {row["partition"]: row["last_position"] for row in passed}
        left_out = _left_out(await connection.fetch(_LETTERS, model.name, model.version))
        actual = _Ahead(model, aiter(connection.cursor(_select(model), prefetch=_PREFETCH)))
        await actual.step()
        async for order in _orders(aiter(connection.cursor(_EVENTS, prefetch=_PREFETCH)), partitions, tally):
            records = [
                each
                for each in order
                if each.position <= reached.get(each.partition, 0) and (each.order_id, each.sequence) not in left_out
            ]
            try:
                rows = model.expected(records)
            except (ProjectionError, DomainError) as error:
                yield Difference((order[0].order_id, 0), f"the log cannot be folded: {describe(error)}")
                rows = []
            for row in rows:
                async for difference in _compare(model, row, actual, tally):
                    yield difference
        while actual.row is not None:
            yield Difference(actual.key, _UNKNOWN)
            await actual.step()


async def _compare(model: Verifiable, row: Row, actual: "_Ahead", tally: Tally) -> AsyncIterator[Difference]:
    """Compare one expected row with the next actual one; step over rows the log does not know."""
    key = _key(model, row)
    tally.rows += 1
    while actual.row is not None and actual.key < key:
        yield Difference(actual.key, _UNKNOWN)
        await actual.step()
    if actual.row is None or actual.key != key:
        yield Difference(key, "is missing")
        return
    wrong = [
        column.name
        for column, expected, value in zip(model.table.columns, row, actual.row, strict=True)
        if not _equal(expected, value, is_json=isinstance(column.type, JSONB))
    ]
    await actual.step()
    if wrong:
        yield Difference(key, f"differs in {', '.join(wrong)}")


class _Ahead:
    """The rows of the read model, the next one in view; `key` is only meaningful while `row` is not None."""

    def __init__(self, model: Verifiable, rows: AsyncIterator[asyncpg.Record]) -> None:
        self._model = model
        self._rows = rows
        self.row: Row | None = None
        self.key: Key = (UUID(int=0), 0)

    async def step(self) -> None:
        """Look at the next row."""
        found = await anext(self._rows, None)
        self.row = None if found is None else tuple(found.values())
        if self.row is not None:
            self.key = _key(self._model, self.row)


def _equal(expected: object, value: object, *, is_json: bool) -> bool:
    if is_json and isinstance(expected, str) and isinstance(value, str):
        return bool(orjson.loads(expected) == orjson.loads(value))
    return expected == value


def _key(model: Verifiable, row: Row) -> Key:
    order_id, second = row[:2]
    if not isinstance(order_id, UUID):
        raise TypeError("the first column of a verifiable table is the order's id")
    return order_id, second if model.has_sequence and isinstance(second, int) else 0


def _select(model: Verifiable) -> str:
    names = ", ".join(column.name for column in model.table.columns)
    order = "order_id, sequence" if model.has_sequence else "order_id"
    return f"SELECT {names} FROM {model.table.fullname} ORDER BY {order}"


def _left_out(letters: Iterable[asyncpg.Record]) -> set[tuple[UUID, int]]:
    """Return the events that are parked, discarded, or missing before a gap."""
    return {
        (letter["order_id"], sequence)
        for letter in letters
        for sequence in range(letter["retry_from"], letter["sequence"] + 1)
    }


async def _orders(rows: AsyncIterator[asyncpg.Record], partitions: int, tally: Tally) -> AsyncIterator[list[LogRecord]]:
    """Group the log, which is sorted by order, into the events of each order."""
    order: list[LogRecord] = []
    async for row in rows:
        event = stored_event(row)
        tally.events += 1
        if order and order[0].order_id != event.stream_id:
            yield order
            order = []
        order.append(LogRecord.of(event, shard(event.stream_id, partitions)))
    if order:
        yield order
