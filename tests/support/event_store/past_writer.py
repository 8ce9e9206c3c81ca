"""Orders whose time is nearly up: they are written over PostgreSQL as if it were a week, less a moment, ago."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import SecretStr

from command_api.handling.deferred_store import DeferredEventStore, make_appender
from command_api.handling.handle import WritePath
from domain.order.decide import ORDER_LIFETIME
from infra import clock
from infra.event_store.protocol import EventStore
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.pool import open_pool
from infra.settings import CommandApiSettings, PostgresSettings
from tests.support.services.command_service import Service, memory_service
from tests.support.services.servers import Database


@asynccontextmanager
async def past_service(database: Database, left: timedelta) -> AsyncIterator[Service]:
    """Run the service with a clock by which what it writes now runs out when `left` is over."""
    postgres = PostgresSettings(url=SecretStr(database.command_url))
    async with (
        DeferredPool(lambda: open_pool(postgres, application_name="past-writer")) as pool,
        make_appender(postgres, CommandApiSettings(), "past-writer") as appender,
    ):
        await pool.opened()

        def writes(store: EventStore) -> WritePath:
            return WritePath(store, now=lambda: clock.now() - ORDER_LIFETIME + left)

        async with memory_service(DeferredEventStore(pool, appender), writes=writes) as service:
            yield service
