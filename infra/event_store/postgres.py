"""The event store on PostgreSQL: appends through one `Appender`, reads over the pool.

`async with open_event_store(settings, pool) as store:` is how a service gets one. Reads see every committed event and
never one that could still vanish; positions are contiguous, so a gap is corruption and stops the reader.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import UUID

from infra.event_store.append_channel import PostgresAppendChannel
from infra.event_store.appender import Appender, AppenderLimits
from infra.event_store.log_reads import COLUMNS, stored_event
from infra.event_store.protocol import (
    AppendCommand,
    AppendOutcome,
    EventStoreError,
    FirstUse,
    KeyMismatch,
    LogCorruptError,
    StoredEvent,
    StoreUnavailableError,
)
from infra.observability.reasons import reason_of
from infra.postgres.failures import UNAVAILABLE
from infra.postgres.pool import Pool, connect
from infra.settings import PostgresSettings

READ_STREAM = f"SELECT {COLUMNS} FROM harbor.events WHERE stream_id = $1 AND tenant_id = $2 ORDER BY version"
READ_ALL = f"SELECT {COLUMNS} FROM harbor.events WHERE position > $1 AND log_id = $2 ORDER BY position LIMIT $3"
HEAD = "SELECT last_position FROM harbor.batches WHERE log_id = $1 ORDER BY last_position DESC LIMIT 1"
# One look-up by the hash of the key for each pair of $1 tenants and $2 keys.
FIRST_USES = """
    SELECT r.tenant_id, r.key, r.fingerprint, r.status, r.stream_id, r.version, r.recorded_at
    FROM unnest($1::text[], $2::text[]) AS used (tenant_id, key)
    JOIN harbor.recorded_responses r
        ON hashtextextended(r.key, 0) = hashtextextended(used.key, 0) AND r.key = used.key
       AND r.tenant_id = used.tenant_id
"""


class PostgresEventStore:
    """`infra.event_store.protocol.EventStore` on PostgreSQL.

    `pool` returns the pool, or raises while it is not open; then every call raises `StoreUnavailableError`.
    """

    def __init__(self, pool: Callable[[], Pool], appender: Appender, *, log_id: int = 0) -> None:
        self._pool = pool
        self._appender = appender
        self._log_id = log_id

    async def append(self, command: AppendCommand) -> AppendOutcome:
        """Append one command in the next batch; see `EventStore.append`."""
        with _unavailable_when_away():
            self._pool()  # until it is open, nothing is known of the schema
        outcome = await self._appender.append(command)
        if isinstance(outcome, KeyMismatch):
            return KeyMismatch((await self._first_uses([command])).get((command.tenant_id, command.key)))
        return outcome

    async def append_all(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome | EventStoreError]:
        """Append commands in the next batches, in one when they fit; see `EventStore.append_all`."""
        with _unavailable_when_away():
            self._pool()
        outcomes = await self._appender.append_all(commands)
        mismatched = [
            each for each, outcome in zip(commands, outcomes, strict=True) if isinstance(outcome, KeyMismatch)
        ]
        if not mismatched:
            return outcomes
        first = await self._first_uses(mismatched)
        return [
            KeyMismatch(first.get((each.tenant_id, each.key))) if isinstance(outcome, KeyMismatch) else outcome
            for each, outcome in zip(commands, outcomes, strict=True)
        ]

    async def read_stream(self, tenant_id: str, stream_id: UUID) -> Sequence[StoredEvent]:
        """Return the events of one stream, versions ascending; see `EventStore.read_stream`."""
        with _unavailable_when_away():
            rows = await self._pool().fetch(READ_STREAM, stream_id, tenant_id)
        return [stored_event(row) for row in rows]

    async def read_all(self, after_position: int, limit: int) -> Sequence[StoredEvent]:
        """Return the events behind a position; see `EventStore.read_all`."""
        with _unavailable_when_away():
            rows = await self._pool().fetch(READ_ALL, after_position, self._log_id, limit)
        for expected, row in enumerate(rows, after_position + 1):
            if row["position"] != expected:
                raise LogCorruptError(f"position {expected} is missing: {row['position']} follows {expected - 1}")
        return [stored_event(row) for row in rows]

    async def _first_uses(self, commands: Collection[AppendCommand]) -> dict[tuple[str, str], FirstUse]:
        """Return what is kept of the first request under the keys of these commands, by tenant and key.

        Nothing of it is needed to refuse them: what cannot be read now is left out.
        """
        tenants, keys = [each.tenant_id for each in commands], [each.key for each in commands]
        with suppress(*UNAVAILABLE):
            rows = await self._pool().fetch(FIRST_USES, tenants, keys)
            return {(tenant_id, key): FirstUse(*first) for tenant_id, key, *first in rows}
        return {}

    async def head(self) -> int:
        """Return the last position of the log; 0 when it is empty."""
        with _unavailable_when_away():
            last: int | None = await self._pool().fetchval(HEAD, self._log_id)
        return last or 0


@asynccontextmanager
async def open_event_store(
    settings: PostgresSettings, pool: Pool, limits: AppenderLimits | None = None, *, log_id: int = 0
) -> AsyncIterator[PostgresEventStore]:
    """Open a store whose appender has a connection of its own; leaving drains what is queued."""
    channel = PostgresAppendChannel(lambda: connect(settings, application_name="harbor-append"), log_id=log_id)
    async with Appender(channel, limits) as appender:
        yield PostgresEventStore(lambda: pool, appender, log_id=log_id)


@contextmanager
def _unavailable_when_away() -> Iterator[None]:
    try:
        yield
    except UNAVAILABLE as error:
        raise StoreUnavailableError(reason_of(error)) from error
