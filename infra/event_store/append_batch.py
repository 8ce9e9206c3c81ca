"""One call of `harbor.append_batch`: commands become parallel arrays, rows become outcomes. One trip, one commit."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

import asyncpg

from infra.event_store.protocol import (
    AppendCommand,
    Appended,
    AppendOutcome,
    ClaimTaken,
    Duplicate,
    KeyMismatch,
    WrongExpectedVersion,
    leaf_hash,
)
from infra.postgres.connection import Connection

T = TypeVar("T")

SQL = f"SELECT * FROM harbor.append_batch({', '.join(f'${number}' for number in range(1, 22))})"


async def append_batch(
    connection: Connection, commands: Sequence[AppendCommand], *, log_id: int = 0
) -> list[AppendOutcome]:
    """Append commands in one transaction and return one outcome per command, in their order.

    No two commands may share a stream, a key or a claim of one tenant; when they do, or when a command cannot be
    stored, the call raises and nothing of the batch is written. Repeating a call is harmless: keys that were written
    come back as `Duplicate`. Do not call it inside a transaction: the log stays locked until that ends.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError: see `infra.event_store.append_channel` for
            which of them leave the outcome unknown.
    """
    rows = await connection.fetch(SQL, *arguments(log_id, commands))
    if len(rows) == 1 and rows[0]["outcome"] is None:
        return _all_appended(commands, rows[0])
    if len(rows) != len(commands):
        # The rows are matched to the commands by order.
        raise asyncpg.InternalServerError(f"{len(rows)} outcomes for {len(commands)} commands: a key is stored twice")
    return [_OUTCOMES[row["outcome"]](row) for row in rows]


def arguments(log_id: int, commands: Sequence[AppendCommand]) -> tuple[object, ...]:
    """Return the parameters of `SQL`; the comment of the SQL function describes them."""
    counts = [len(command.events) for command in commands]
    events = [event for command in commands for event in command.events]
    return (
        log_id,
        _one_if_same([command.tenant_id for command in commands]),
        [command.key for command in commands],
        [command.fingerprint for command in commands],
        [command.stream_id for command in commands],
        _one_if_same([command.stream_type for command in commands]),
        _one_if_same([command.expected_version for command in commands]),
        _one_if_same([command.status for command in commands]),
        [command.response for command in commands],
        _none_if_empty([command.claim for command in commands]),
        None if counts.count(1) == len(counts) else counts,
        [event.event_id for event in events],
        _one_if_same([event.type for event in events]),
        _one_if_same([event.schema_version for event in events]),
        [event.occurred_at for event in events],
        _one_if_same([event.actor for event in events]),
        _none_if_empty([event.correlation_id for event in events]),
        _none_if_empty([event.causation_id for event in events]),
        _none_if_empty([event.traceparent for event in events]),
        [
            leaf_hash(command.tenant_id, command.stream_id, version, event)
            for command in commands
            for version, event in enumerate(command.events, command.expected_version + 1)
        ],
        [event.payload for event in events],
    )


def _one_if_same(values: list[T]) -> list[T]:
    """Return one element if all are equal: it is then sent and decoded once."""
    return values[:1] if values and values.count(values[0]) == len(values) else values


def _none_if_empty(values: list[str | None]) -> list[str | None] | None:
    return None if values.count(None) == len(values) else values


def _all_appended(commands: Sequence[AppendCommand], row: asyncpg.Record) -> list[AppendOutcome]:
    """Return the outcomes of a batch whose first position is that of the row; the others follow."""
    before, recorded_at = row["position"] - 1, row["recorded_at"]
    counts = [len(command.events) for command in commands]
    return [
        Appended(command.expected_version + count, before + upto, recorded_at)
        for command, count, upto in zip(commands, counts, accumulate(counts), strict=True)
    ]


_OUTCOMES: Mapping[str, Callable[[asyncpg.Record], AppendOutcome]] = {
    "appended": lambda row: Appended(row["version"], row["position"], row["recorded_at"]),
    "duplicate": lambda row: Duplicate(*(row[name] for name in Duplicate._fields)),
    "mismatch": lambda _row: KeyMismatch(),
    "conflict": lambda row: WrongExpectedVersion(row["version"]),
    "claimed": lambda row: ClaimTaken(row["stream_id"]),
}
