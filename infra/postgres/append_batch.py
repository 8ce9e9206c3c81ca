"""One call of `harbor.append`: commands to parallel arrays, result rows to outcomes. One round trip, one commit."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from infra.events import (
    AppendCommand,
    Appended,
    AppendOutcome,
    ClaimTaken,
    Duplicate,
    KeyMismatch,
    NewEvent,
    WrongExpectedVersion,
    leaf_hash,
)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

SQL = f"SELECT * FROM harbor.append({', '.join(f'${number}' for number in range(1, 23))})"


async def append_batch(
    connection: Connection, commands: Sequence[AppendCommand], *, log_id: int = 0
) -> list[AppendOutcome]:
    """Append commands in one transaction and give one outcome per command, in their order.

    No two commands may share a stream, a key or a claim of one tenant; when they do, or when a command cannot be
    stored, the call raises and nothing of the batch is written. Repeating a call is harmless: keys that were written
    come back as `Duplicate`. Not to be called inside a transaction, since the log stays locked until it ends.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError: `infra.postgres.append_channel` tells
            which of them leave the outcome unknown.
    """
    rows = await connection.fetch(SQL, *_arguments(log_id, commands))
    return [_OUTCOMES[row["outcome"]](row) for row in rows]


def _arguments(log_id: int, commands: Sequence[AppendCommand]) -> tuple[object, ...]:
    claims = [command.claim for command in commands]
    events: list[tuple[int, AppendCommand, int, NewEvent]] = [
        (ordinal, command, version, event)
        for ordinal, command in enumerate(commands, 1)
        for version, event in enumerate(command.events, command.expected_version + 1)
    ]
    return (
        log_id,
        [command.tenant_id for command in commands],
        [command.key for command in commands],
        [command.fingerprint for command in commands],
        [command.stream_id for command in commands],
        [command.stream_type for command in commands],
        [command.expected_version for command in commands],
        [command.status for command in commands],
        [command.response for command in commands],
        claims if any(claim is not None for claim in claims) else None,
        [len(command.events) for command in commands],
        [ordinal for ordinal, _, _, _ in events],
        [event.event_id for _, _, _, event in events],
        [event.type for _, _, _, event in events],
        [event.schema_version for _, _, _, event in events],
        [event.occurred_at for _, _, _, event in events],
        [event.actor for _, _, _, event in events],
        [event.correlation_id for _, _, _, event in events],
        [event.causation_id for _, _, _, event in events],
        [event.traceparent for _, _, _, event in events],
        [leaf_hash(command.tenant_id, command.stream_id, version, event) for _, command, version, event in events],
        [event.payload for _, _, _, event in events],
    )


def _duplicate(row: asyncpg.Record) -> Duplicate:
    return Duplicate(
        status=row["status"],
        response=row["response"],
        stream_id=row["stream_id"],
        version=row["version"],
        position=row["position"],
        recorded_at=row["recorded_at"],
    )


_OUTCOMES: Mapping[str, Callable[[asyncpg.Record], AppendOutcome]] = {
    "appended": lambda row: Appended(row["version"], row["position"], row["recorded_at"]),
    "duplicate": _duplicate,
    "mismatch": lambda _row: KeyMismatch(),
    "conflict": lambda row: WrongExpectedVersion(row["version"]),
    "claimed": lambda row: ClaimTaken(row["stream_id"]),
}
