"""The command service in this process: over a store in memory, or over PostgreSQL with everything the real one has."""

import base64
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg
import httpx
import orjson
from pydantic import SecretStr

from command_api.app import Settings, assemble, batch_slots, body_limits, create_app, key_slots
from command_api.handling.handle import WritePath
from command_api.metrics import CommandMetrics
from command_api.state import CommandState, KeyChanges, WebhookConfig
from infra import clock
from infra.event_store.memory import MemoryEventStore
from infra.event_store.protocol import EventStore
from infra.http.addresses import orders_url
from infra.http.app import ServiceApp
from infra.http.auth import Authenticator
from infra.http.cursors import Cursors
from infra.observability.health import NotReadyReason
from infra.postgres.connection import DedicatedConnection
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.pool import Pool
from infra.redis.gcra import Rate
from infra.redis.rate_limit import RateLimiter
from infra.security.api_key_store import create_key
from infra.security.api_keys import INSTALLATION_SCOPES, PARTNER_SCOPES, KeyActor
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
from tests.support.services.servers import Database
from tests.support.services.small_service import KnownKeys, WithState

PEPPER = "p" * 32
ORDERS = "/api/v1/orders"
BATCH = "/api/v1/orders/batch"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: a client with the key of partner acme in test mode, and the store behind it."""

    http: httpx.AsyncClient
    store: EventStore
    app: ServiceApp
    keys: KnownKeys

    async def post(self, path: str = ORDERS, body: object = None, *, key: str = "", **headers: str) -> httpx.Response:
        """Post JSON under a key (a new one when none is given); further headers by name with `_` for `-`."""
        return await self.send("POST", path, body, key=key, **headers)

    async def send(
        self, method: str, path: str, body: object = None, *, key: str = "", **headers: str
    ) -> httpx.Response:
        """Send JSON with any method."""
        content = b"" if body is None else orjson.dumps(body)
        sent = {"idempotency-key": key or secrets.token_hex(8)}
        if content:
            sent["content-type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, path, content=content, headers=sent)


async def _never() -> Pool:
    raise ConnectionError("there is no PostgreSQL in this test")


async def _ready() -> list[NotReadyReason]:
    return []


@asynccontextmanager
async def memory_service(
    store: EventStore | None = None,
    *,
    writes: Callable[[EventStore], WritePath] = WritePath,
    settings: CommandApiSettings | None = None,
    rate: Rate | None = None,
    public: PublicSettings | None = None,
) -> AsyncIterator[Service]:
    """Run the service over a store in memory; `writes` may put something else into the write path.

    Without a `rate` a partner may send as much as it likes.
    """
    kept: EventStore = store or MemoryEventStore()
    service, public = settings or CommandApiSettings(), public or PublicSettings()
    keys = KnownKeys()

    @asynccontextmanager
    async def opened(metrics: CommandMetrics) -> AsyncIterator[CommandState]:
        yield {
            "authenticator": Authenticator(PEPPER.encode(), keys, limiter=RateLimiter(rate, None) if rate else None),
            "ready": _ready,
            "writes": writes(kept),
            "bodies": body_limits(service),
            "batches": batch_slots(service),
            "partitions": 12,
            "orders_url": orders_url(public),
            "metrics": metrics,
            "database": DeferredPool(_never),
            "webhooks": WebhookConfig(SecretBox(b"w" * 32), (), 20),
            "key_changes": KeyChanges(PEPPER.encode(), key_slots(service)),
            "cursors": Cursors(b"c" * 32),
        }

    async with _running(assemble(service, opened, public), kept, keys, keys.issue()) as running:
        yield running


@asynccontextmanager
async def postgres_service(
    database: Database, key: str | None = None, *, public: PublicSettings | None = None, **service: Any
) -> AsyncIterator[Service]:
    """Run the service over PostgreSQL as `python -m command_api` would; `service` are fields of its settings."""
    settings = command_settings(database, **service)
    app = create_app(replace(settings, public=public or settings.public))
    if key is None:
        key = await partner_key(database)
    async with _running(app, MemoryEventStore(), KnownKeys(), key) as running:
        yield running


@asynccontextmanager
async def _running(app: ServiceApp, store: EventStore, keys: KnownKeys, key: str) -> AsyncIterator[Service]:
    async with app.router.lifespan_context(app) as state:
        transport = httpx.ASGITransport(WithState(app, state or {}), raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://orders.test", headers=headers) as client:
            real: EventStore = state["writes"].store if state else store
            yield Service(client, real, app, keys)


def command_settings(database: Database, **service: Any) -> Settings:
    """Return the settings of a command service over a database."""
    return Settings(
        service=CommandApiSettings(**service),
        postgres=PostgresSettings(url=SecretStr(database.command_url)),
        security=SecuritySettings(
            api_key_pepper=SecretStr(PEPPER),
            cursor_secret=SecretStr("c" * 32),
            webhook_secrets_key=SecretStr(base64.b64encode(b"w" * 32).decode()),
        ),
        kafka=KafkaSettings(),
        webhooks=WebhookSettings(),
        redis=RedisSettings(),
        limits=LimitSettings(),
        public=PublicSettings(),
    )


async def partner_key(
    database: Database,
    partner_id: str | None = "acme",
    scopes: Iterable[str] | None = None,
    *,
    livemode: bool = False,
    expires_at: datetime | None = None,
) -> str:
    """Make a key in a database, without `scopes` with all of its kind; return its text."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        return await insert_key(connection, partner_id, scopes, livemode=livemode, expires_at=expires_at)
    finally:
        await connection.close()


async def insert_key(
    connection: DedicatedConnection,
    partner_id: str | None,
    scopes: Iterable[str] | None = None,
    *,
    livemode: bool = False,
    expires_at: datetime | None = None,
) -> str:
    """Make a key over a connection of an administrator; see `partner_key`."""
    text, _record = await create_key(
        connection,
        pepper=PEPPER.encode(),
        partner_id=partner_id,
        livemode=livemode,
        scopes=frozenset(scopes or (PARTNER_SCOPES if partner_id else INSTALLATION_SCOPES)),
        now=clock.now(),
        by=KeyActor("cli", "ada", "r-cli"),
        expires_at=expires_at,
    )
    return text


def id_of(key: str) -> str:
    """Return the id in the text of a key."""
    return key.split("_")[2]
