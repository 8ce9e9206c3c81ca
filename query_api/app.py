"""The composition root of the query service: settings -> pool -> freshness -> application.

Nothing is opened before the lifespan starts, and nothing waits for PostgreSQL or for the read models: until they are
there, /readyz says what is missing and reads get 503.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from fastapi import APIRouter
from prometheus_client import REGISTRY, CollectorRegistry

from infra import clock
from infra.background import run_in_background
from infra.http import problems as shared_problems
from infra.http.addresses import services
from infra.http.app import ServiceApp, build_app
from infra.http.auth import Authenticator
from infra.http.cursors import Cursors
from infra.http.guards import Limits
from infra.http.json_body import BodyLimits
from infra.observability.health import NotReadyReason
from infra.postgres.backlogs import OutsideView, look
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.pool import Pool, connect, open_pool
from infra.postgres.wakeup import Wakeup
from infra.redis.rate_limit import open_rate_limiter
from infra.security.key_cache import KeyCache
from infra.security.key_watch import finder, watch_keys
from infra.settings import (
    KafkaSettings,
    LimitSettings,
    PostgresSettings,
    PublicSettings,
    QueryApiSettings,
    RedisSettings,
    SecuritySettings,
)
from projections.tables import order_timeline, orders
from query_api import problems
from query_api.freshness import CHANNELS, VERSIONS, Freshness, FreshnessWatch
from query_api.metrics import FreshnessMetrics, QueryMetrics
from query_api.orders import routes as order_routes
from query_api.outside import OutsideMetrics, OutsideWatch
from query_api.progress import read_progress
from query_api.state import QueryState
from query_api.webhooks import routes as webhook_routes

StateContext: TypeAlias = AbstractAsyncContextManager[QueryState]
ROUTERS: Final[tuple[APIRouter, ...]] = (order_routes.raw_router, order_routes.router, webhook_routes.router)
"""Every route of the service; each declares its scope with `requires`."""

READ_MODELS: Final = tuple(table.fullname for table in (orders, order_timeline))
TABLES_EXIST: Final = "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest($1::text[]) AS name"
"""Whether all tables ($1) exist."""

_NAME: Final = "harbor-query"
_MAX_BODY_BYTES: Final = 1024
_BODY_SHARE_OF_DEADLINE: Final = 0.6
_DESCRIPTION: Final = """
Read orders, what happened to them, and the deliveries of webhooks. Changing orders is the command API's.

* Every request carries an API key: `Authorization: Bearer hbr_...`.
* To read what you just wrote, send the `Consistency-Token` of the command's response.
* Every response says how fresh it is: `X-Read-Position`, `X-Read-Lag-Ms`.
* Errors are `application/problem+json` (RFC 9457) with a stable `code`.
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the query service reads from its environment."""

    service: QueryApiSettings
    postgres: PostgresSettings
    security: SecuritySettings
    kafka: KafkaSettings
    redis: RedisSettings
    limits: LimitSettings
    public: PublicSettings


def create_app(settings: Settings) -> ServiceApp:
    """Return the application; it opens what it needs when it starts and closes it when it stops."""
    return assemble(settings.service, lambda metrics: _opened(settings, metrics), settings.public)


def assemble(
    service: QueryApiSettings, opened: Callable[[QueryMetrics], StateContext], public: PublicSettings
) -> ServiceApp:
    """Return the application over whatever state `opened` opens."""
    registry = CollectorRegistry()
    registry.register(REGISTRY)  # the process
    metrics = QueryMetrics(FreshnessMetrics(registry), OutsideMetrics(registry))
    return build_app(
        title="Harbor Orders: query API",
        description=_DESCRIPTION,
        routers=ROUTERS,
        lifespan=lambda _app: opened(metrics),
        limits=Limits(
            max_in_flight=service.max_in_flight,
            deadline_s=service.request_deadline_s,
            max_body_bytes=_MAX_BODY_BYTES,
        ),
        translate=problems.translate,
        services=services("query", public),
        public=public,
        problems=(*shared_problems.CATALOGUE, *problems.CATALOGUE),
        registry=registry,
    )


@asynccontextmanager
async def _opened(settings: Settings, metrics: QueryMetrics) -> AsyncIterator[QueryState]:
    postgres, partitions = settings.postgres, settings.kafka.partitions
    pepper = settings.security.api_key_pepper.get_secret_value().encode()
    freshness = Freshness(partitions, clock.now)
    metrics.freshness.watch(freshness)
    async with (
        DeferredPool(lambda: open_pool(postgres, application_name=_NAME), _what_is_missing) as database,
        run_in_background(lambda: _watch_freshness(postgres, database, freshness), "freshness"),
        run_in_background(lambda: _watch_backlogs(database, settings.kafka, metrics.outside), "outside"),
        open_rate_limiter(settings.redis, settings.limits, "query") as limiter,
    ):
        keys = KeyCache(finder(database))
        listen = partial(connect, postgres, application_name=f"{_NAME}-keys")
        async with run_in_background(lambda: watch_keys(listen, database, keys), "api-keys"):
            yield QueryState(
                authenticator=Authenticator(pepper, keys, limiter=limiter),
                ready=database.check,
                database=database,
                freshness=freshness,
                bodies=BodyLimits(_MAX_BODY_BYTES, settings.service.request_deadline_s * _BODY_SHARE_OF_DEADLINE),
                cursors=Cursors(settings.security.cursor_secret.get_secret_value().encode()),
                partitions=partitions,
                consistency_wait_s=settings.service.consistency_wait_s,
            )


async def _what_is_missing(pool: Pool) -> NotReadyReason | None:
    return None if await pool.fetchval(TABLES_EXIST, READ_MODELS) else "read_models_missing"


async def _watch_backlogs(database: DeferredPool, kafka: KafkaSettings, metrics: OutsideMetrics) -> None:
    topic = kafka.events_topic if kafka.bootstrap_servers else None

    async def look_around() -> OutsideView:
        async with database.pool.acquire() as connection:
            return await look(connection, topic=topic, partitions=kafka.partitions, projections=VERSIONS)

    await database.opened()
    await OutsideWatch(look_around, metrics).run()


async def _watch_freshness(settings: PostgresSettings, database: DeferredPool, freshness: Freshness) -> None:
    await database.opened()
    async with Wakeup(lambda: connect(settings, application_name=f"{_NAME}-freshness"), CHANNELS) as wakeup:
        await FreshnessWatch(
            freshness, partial(read_progress, database), wakeup.wait, lambda: wakeup.healthy, clock.monotonic_s
        ).run()
