"""The event store before PostgreSQL answers: until the pool is open, every call raises `StoreUnavailableError`."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from infra.event_store.append_channel import PostgresAppendChannel
from infra.event_store.appender import Appender, AppenderLimits
from infra.event_store.postgres import PostgresEventStore
from infra.event_store.protocol import AppendCommand, AppendOutcome, EventStoreError, StoredEvent, StoreUnavailableError
from infra.postgres.deferred_pool import DeferredPool, PoolNotOpenError
from infra.postgres.pool import connect
from infra.settings import CommandApiSettings, PostgresSettings

_APPEND_SHARE_OF_DEADLINE: Final = 0.9


def make_appender(postgres: PostgresSettings, service: CommandApiSettings, name: str) -> Appender:
    """Return an appender on a connection of its own, by the settings of the command service."""
    channel = PostgresAppendChannel(lambda: connect(postgres, application_name=f"{name}-append"))
    limits = AppenderLimits(
        queue_commands=service.append_queue,
        batch_commands=service.append_batch,
        # Before the request's own deadline, so that the response says what is known about the write.
        deadline_s=service.request_deadline_s * _APPEND_SHARE_OF_DEADLINE,
    )
    return Appender(channel, limits)


class DeferredEventStore:
    """`infra.event_store.protocol.EventStore` over a pool that opens late; `StoreUnavailableError` until then."""

    def __init__(self, pool: DeferredPool, appender: Appender) -> None:
        self._pool = pool
        self._appender = appender

    @property
    def _store(self) -> PostgresEventStore:
        try:
            return PostgresEventStore(self._pool.pool, self._appender)
        except PoolNotOpenError as error:
            raise StoreUnavailableError(str(error)) from error

    async def append(self, command: AppendCommand) -> AppendOutcome:
        """Append one command; see `EventStore.append`. Until the pool was open nothing is known of the schema."""
        return await self._store.append(command)

    async def append_all(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome | EventStoreError]:
        """Append commands that were made together; see `EventStore.append_all`."""
        return await self._store.append_all(commands)

    async def read_stream(self, tenant_id: str, stream_id: UUID) -> Sequence[StoredEvent]:
        """Return the events of one stream; see `EventStore.read_stream`."""
        return await self._store.read_stream(tenant_id, stream_id)

    async def read_all(self, after_position: int, limit: int) -> Sequence[StoredEvent]:
        """Return the events behind a position; see `EventStore.read_all`."""
        return await self._store.read_all(after_position, limit)

    async def head(self) -> int:
        """Return the last position of the log; 0 when it is empty."""
        return await self._store.head()
