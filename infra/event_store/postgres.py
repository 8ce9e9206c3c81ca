"""The event store on PostgreSQL: appends through one `Appender`, reads over the pool.

`async with open_event_store(settings, pool) as store:` is how a service gets one. Reads see every committed event and
never one that could still vanish; positions have no holes, so a hole is corruption and stops the reader.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from infra.event_store.append_batch import append_batch
from infra.event_store.append_channel import PostgresAppendChannel
from infra.event_store.appender import Appender, AppenderLimits
from infra.event_store.log_reads import COLUMNS, stored_event
from infra.event_store.protocol import (
    AppendCommand,
    AppendOutcome,
    EventStoreError,
    LogCorruptError,
    StoredEvent,
    StoreUnavailableError,
)
from infra.postgres.connection import Connection
from infra.postgres.failures import AWAY
from infra.postgres.pool import Pool, connect
from infra.settings import PostgresSettings

READ_STREAM = f"""
SELECT {COLUMNS} FROM harbor.events
WHERE stream_id = $1 AND tenant_id = $2 AND version >= $3 AND version <= $4
ORDER BY version
"""

READ_STREAMS = f"""
SELECT {COLUMNS} FROM harbor.events
WHERE stream_id = ANY($1::uuid[]) AND position <= $2
ORDER BY stream_id, version
"""

READ_ALL = f"""
SELECT {COLUMNS} FROM harbor.events
WHERE position > $1 AND log_id = $2
ORDER BY position LIMIT $3
"""

HEAD = "SELECT last_position FROM harbor.batches WHERE log_id = $1 ORDER BY last_position DESC LIMIT 1"

_LAST_VERSION = 2**31 - 1
_LAST_POSITION = 2**63 - 1


class PostgresEventStore:
    """`infra.event_store.protocol.EventStore` on PostgreSQL."""

    def __init__(self, pool: Pool, appender: Appender, *, log_id: int = 0) -> None:
        self._pool = pool
        self._appender = appender
        self._log_id = log_id

    @property
    def is_reachable(self) -> bool:
        """Return whether the last append reached PostgreSQL; for readiness."""
        return self._appender.is_reachable

    async def append(self, command: AppendCommand) -> AppendOutcome:
        """Append one command in the next batch; see `EventStore.append`."""
        return await self._appender.append(command)

    async def append_all(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome | EventStoreError]:
        """Append commands in the next batches, in one when they fit; see `EventStore.append_all`."""
        return await self._appender.append_all(commands)

    async def append_batch(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome]:
        """Append commands in one transaction of their own, past the queue: all or none, one outcome each.

        No two of them may share a stream, a key or a claim (`append_batch.append_batch` says what happens then). For
        imports and benchmarks; a failure leaves the outcome unknown and the same keys settle it.

        Raises:
            StoreUnavailableError: unknown outcome.
        """
        with _reading():
            async with self._pool.acquire() as connection:
                return await append_batch(connection, commands, log_id=self._log_id)

    async def read_stream(
        self, tenant_id: str, stream_id: UUID, from_version: int = 1, to_version: int | None = None
    ) -> Sequence[StoredEvent]:
        """Return the events of one stream, versions ascending; see `EventStore.read_stream`."""
        upto = _LAST_VERSION if to_version is None else to_version
        with _reading():
            rows = await self._pool.fetch(READ_STREAM, stream_id, tenant_id, from_version, upto)
        return [stored_event(row) for row in rows]

    async def read_all(self, after_position: int, limit: int) -> Sequence[StoredEvent]:
        """Return the events behind a position; see `EventStore.read_all`."""
        with _reading():
            rows = await self._pool.fetch(READ_ALL, after_position, self._log_id, limit)
        for expected, row in enumerate(rows, after_position + 1):
            if row["position"] != expected:
                raise LogCorruptError(f"position {expected} is missing: {row['position']} follows {expected - 1}")
        return [stored_event(row) for row in rows]

    async def head(self) -> int:
        """Return the last position of the log; 0 when it is empty."""
        with _reading():
            last: int | None = await self._pool.fetchval(HEAD, self._log_id)
        return last or 0


async def read_streams(
    connection: Connection, stream_ids: Sequence[UUID], *, upto_position: int | None = None
) -> dict[UUID, list[StoredEvent]]:
    """Return whole streams, versions ascending, in one query on the caller's connection; unknown ids are absent.

    `upto_position` leaves out what was recorded later. Stream ids are UUIDv7 of our own making, one tenant each; give
    only ids that came from the log or belong to the caller.
    """
    upto = _LAST_POSITION if upto_position is None else upto_position
    streams: dict[UUID, list[StoredEvent]] = {}
    for row in await connection.fetch(READ_STREAMS, list(stream_ids), upto):
        event = stored_event(row)
        streams.setdefault(event.stream_id, []).append(event)
    return streams


@asynccontextmanager
async def open_event_store(
    settings: PostgresSettings, pool: Pool, limits: AppenderLimits | None = None, *, log_id: int = 0
) -> AsyncIterator[PostgresEventStore]:
    """Return a store whose appender has a connection of its own; leaving drains what is queued."""
    channel = PostgresAppendChannel(lambda: connect(settings, application_name="harbor-append"), log_id=log_id)
    async with Appender(channel, limits) as appender:
        yield PostgresEventStore(pool, appender, log_id=log_id)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except AWAY as error:
        raise StoreUnavailableError(str(error)) from error
