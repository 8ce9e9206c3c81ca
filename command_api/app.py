"""The composition root of the command service: settings -> pool -> store -> application.

Nothing is opened before the lifespan starts, and nothing waits for PostgreSQL: until it responds, /readyz says what is
missing and every command gets 503.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from fastapi import APIRouter
from prometheus_client import REGISTRY, CollectorRegistry

from command_api import catalogue
from command_api.api_keys import examples as key_examples
from command_api.api_keys import routes as api_key_routes
from command_api.batches import routes as batch_routes
from command_api.errors import translate
from command_api.handling.appender import make_appender
from command_api.handling.bodies import invalid_body
from command_api.handling.handle import WritePath
from command_api.metrics import CommandMetrics
from command_api.orders import examples as order_examples
from command_api.orders import routes as order_routes
from command_api.slots import Slots
from command_api.state import CommandState, KeyChanges, WebhookConfig
from command_api.webhook_endpoints import events as webhook_events
from command_api.webhook_endpoints import routes as webhook_routes
from infra.background import run_in_background
from infra.event_store import metrics as append_metrics
from infra.event_store.appender import Appender
from infra.event_store.partitions import PartitionsReport, keep_partitions
from infra.event_store.postgres import PostgresEventStore
from infra.http import problems
from infra.http.addresses import orders_url, services
from infra.http.app import ServiceApp, build_app
from infra.http.auth import Authenticator
from infra.http.cursors import Cursors
from infra.http.guards import Limits
from infra.http.json_body import BodyLimits, InvalidBodyError
from infra.http.openapi.document import Webhooks
from infra.http.problems import Problem
from infra.observability.health import NotReadyReason
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.pool import connect, open_pool
from infra.redis.rate_limit import open_rate_limiter
from infra.security.key_cache import KeyCache
from infra.security.key_watch import finder, watch_keys
from infra.security.secrets_at_rest import SecretBox
from infra.settings import (
    CommandApiSettings,
    KafkaSettings,
    LimitSettings,
    PostgresSettings,
    PublicSettings,
    RedisSettings,
    SecuritySettings,
    WebhookSettings,
)

StateContext: TypeAlias = AbstractAsyncContextManager[CommandState]
ROUTERS: Final[tuple[APIRouter, ...]] = (
    order_routes.router,
    batch_routes.router,
    webhook_routes.router,
    api_key_routes.router,
)
"""Every route of the service; each declares its scope with `requires`."""

_NAME: Final = "harbor-command"
_BODY_SHARE_OF_DEADLINE: Final = 0.6
_BATCH_WAIT_SHARE_OF_DEADLINE: Final = 0.2
_KEY_CHANGES_AT_ONCE: Final = 2
_DESCRIPTION: Final = """
Create and change orders. Reading is the query API's.

* Every request carries an API key: `Authorization: Bearer hbr_...`.
* Every change of an order, and making or rotating an API key, takes an `Idempotency-Key`, kept for 7 days: until then
  sending it again is safe and makes nothing twice.
* `POST /api/v1/orders/batch` takes up to 500 orders, each under its own key, in a body of at most 1 MiB.
* Other changes take none. Deleting a webhook endpoint, resending a delivery and revoking an API key may be repeated;
  a repeated `POST /api/v1/webhook-endpoints` makes a second one.
* Errors are `application/problem+json` (RFC 9457) with a stable `code`.
* Amounts are decimal strings.
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command service reads from its environment."""

    service: CommandApiSettings
    postgres: PostgresSettings
    security: SecuritySettings
    kafka: KafkaSettings
    webhooks: WebhookSettings
    redis: RedisSettings
    limits: LimitSettings
    public: PublicSettings


@dataclass(slots=True)
class Readiness:
    """What /readyz checks: PostgreSQL responds, appends reach it, and enough partitions exist ahead."""

    database: DeferredPool
    appender: Appender
    partitions: PartitionsReport | None = None

    async def __call__(self) -> Sequence[NotReadyReason]:
        """Return what the service waits for; nothing when it can take commands."""
        if waiting := await self.database.check():
            return waiting
        if not self.appender.is_reachable:
            return ["append_interrupted"]
        if self.partitions is not None and self.partitions.is_alarming:
            return ["partitions_short"]
        return []

    def note(self, report: PartitionsReport) -> None:
        """Remember the last report."""
        self.partitions = report


def create_app(settings: Settings) -> ServiceApp:
    """Return the application; it opens what it needs when it starts and closes it when it stops."""
    return assemble(settings.service, lambda metrics: _opened(settings, metrics), settings.public)


def assemble(
    service: CommandApiSettings, opened: Callable[[CommandMetrics], StateContext], public: PublicSettings
) -> ServiceApp:
    """Return the application over whatever state `opened` opens: PostgreSQL, or a store in memory."""
    registry = CollectorRegistry()
    registry.register(REGISTRY)  # the process
    append_metrics.expose(registry, [*append_metrics.APPEND, *append_metrics.PARTITIONS])
    metrics = CommandMetrics(registry)
    return build_app(
        title="Harbor Orders: command API",
        description=_DESCRIPTION,
        routers=ROUTERS,
        lifespan=lambda _app: opened(metrics),
        limits=Limits(
            max_in_flight=service.max_in_flight,
            deadline_s=service.request_deadline_s,
            max_body_bytes=service.max_body_bytes,
        ),
        translate=_problem,
        services=services("command", public),
        public=public,
        problems=(*problems.CATALOGUE, *catalogue.CATALOGUE),
        registry=registry,
        webhooks=Webhooks(webhook_events.router, webhook_events.examples),
        examples=lambda: {**order_examples.response_examples(), **key_examples.response_examples()},
    )


def _problem(error: Exception) -> Problem | None:
    """Return what the routes raise as a problem; None for what is unexpected."""
    if isinstance(error, InvalidBodyError):
        return invalid_body(error.model, error.error, error.value)
    return translate(error)


def body_limits(service: CommandApiSettings) -> BodyLimits:
    """Return the bounds on a body; a slow one is refused before the request's own deadline passes."""
    return BodyLimits(service.max_body_bytes, service.request_deadline_s * _BODY_SHARE_OF_DEADLINE)


def batch_slots(service: CommandApiSettings) -> Slots:
    """Return the bound on concurrent batches; one that waits longer could not be handled before its deadline."""
    return Slots(service.batches_at_once, service.request_deadline_s * _BATCH_WAIT_SHARE_OF_DEADLINE)


def key_slots(service: CommandApiSettings) -> Slots:
    """Return the bound on concurrent changes of API keys: each holds a connection while it waits for the others."""
    return Slots(_KEY_CHANGES_AT_ONCE, service.request_deadline_s * _BATCH_WAIT_SHARE_OF_DEADLINE)


@asynccontextmanager
async def _opened(settings: Settings, metrics: CommandMetrics) -> AsyncIterator[CommandState]:
    postgres, security, webhooks = settings.postgres, settings.security, settings.webhooks
    pepper = security.api_key_pepper.get_secret_value().encode()
    box = SecretBox.from_setting(security.webhook_secrets_key)
    async with (
        DeferredPool(lambda: open_pool(postgres, application_name=_NAME)) as database,
        make_appender(postgres, settings.service, _NAME) as appender,
        open_rate_limiter(settings.redis, settings.limits, "command") as limiter,
    ):
        keys, readiness = KeyCache(finder(database)), Readiness(database, appender)
        listen = partial(connect, postgres, application_name=f"{_NAME}-keys")
        async with (
            run_in_background(lambda: watch_keys(listen, database, keys), "api-keys"),
            run_in_background(lambda: _watch_partitions(database, readiness), "partitions"),
        ):
            yield {
                "authenticator": Authenticator(pepper, keys, limiter=limiter),
                "ready": readiness,
                "writes": WritePath(PostgresEventStore(lambda: database.pool, appender)),
                "bodies": body_limits(settings.service),
                "batches": batch_slots(settings.service),
                "partitions": settings.kafka.partitions,
                "orders_url": orders_url(settings.public),
                "metrics": metrics,
                "database": database,
                "webhooks": WebhookConfig(
                    box, webhooks.allow_networks, webhooks.max_endpoints, webhooks.extra_top_level_domains
                ),
                "key_changes": KeyChanges(pepper, key_slots(settings.service)),
                "cursors": Cursors(security.cursor_secret.get_secret_value().encode()),
            }


async def _watch_partitions(database: DeferredPool, readiness: Readiness) -> None:
    await keep_partitions(await database.opened(), readiness.note)
