"""Orders whose time is nearly up, and the timer that ends them, over PostgreSQL with a clock of the test's own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from command_api.handling.appender import make_appender
from command_api.handling.handle import WritePath
from command_api.timer.expirer import Expirer
from command_api.timer.metrics import ExpiryMetrics
from domain.order.decide import ORDER_LIFETIME
from infra import clock
from infra.event_store.postgres import PostgresEventStore
from infra.event_store.protocol import EventStore
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.pool import open_pool
from infra.postgres.timers import Timers
from infra.settings import CommandApiSettings, ExpirySettings, PostgresSettings
from tests.support.services.command_service import Service, memory_service
from tests.support.services.servers import Database

NAME = "test-timer"


@asynccontextmanager
async def past_service(database: Database, left: timedelta) -> AsyncIterator[Service]:
    """Run the service with a clock by which what it writes now runs out when `left` is over."""

    def writes(store: EventStore) -> WritePath:
        return WritePath(store, now=lambda: clock.now() - ORDER_LIFETIME + left)

    async with _store(database) as (pool, store):
        await pool.opened()
        async with memory_service(store, writes=writes) as service:
            yield service


@asynccontextmanager
async def expirer(database: Database, now: Callable[[], datetime], **settings: int) -> AsyncIterator[Expirer]:
    """Open what a timer process works with, without its loop."""
    async with _store(database) as (pool, store):
        yield Expirer(
            lambda: Timers(pool.pool),
            store,
            WritePath(store, now=now),
            ExpirySettings.model_validate(settings),
            ExpiryMetrics(CollectorRegistry()),
        )


@asynccontextmanager
async def _store(database: Database) -> AsyncIterator[tuple[DeferredPool, PostgresEventStore]]:
    postgres = PostgresSettings(url=SecretStr(database.command_url))
    async with (
        DeferredPool(lambda: open_pool(postgres, application_name=NAME)) as pool,
        make_appender(postgres, CommandApiSettings(), NAME) as appender,
    ):
        yield pool, PostgresEventStore(lambda: pool.pool, appender)
