"""Webhook tests: endpoints and deliveries made by the real code, a receiver on loopback, a dispatcher in this loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from random import Random
from typing import Self
from uuid import UUID

import asyncpg
from aiohttp import web
from prometheus_client import CollectorRegistry
from standardwebhooks import Webhook

from command_api.webhook_endpoints.store import CreatedEndpoint, NewEndpoint, WebhookEndpoints
from infra.partitioning import partition_of
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.pool import connect, open_pool
from infra.postgres.wakeup import Wakeup
from infra.security.net_guard.addresses import IPNetwork
from infra.security.secrets_at_rest import SecretBox
from infra.settings import PostgresSettings, WebhookSettings
from infra.tenancy import Tenant
from projections.projection import LogRecord
from projections.webhooks.dispatcher import Dispatcher, Ports
from projections.webhooks.fanout import WebhookFanout
from projections.webhooks.metrics import DispatcherMetrics
from projections.webhooks.sender import Deadlines, Lookup, WebhookSender
from tests.support.event_store.log_filler import fill_log
from tests.support.services.projecting import log_of
from tests.support.services.servers import Database
from tests.support.waiting import PATIENCE_S, eventually

ACME = Tenant("acme", livemode=False)
SECRETS_KEY = bytes(range(32))
LOOPBACK: tuple[IPNetwork, ...] = (ip_network("127.0.0.0/8"),)
QUICK = Deadlines(connect_s=0.5, total_s=1.0)

_DELIVERIES = """
SELECT d.*, b.body FROM harbor.webhook_deliveries d JOIN harbor.webhook_bodies b USING (event_id, payload)
ORDER BY d.position, d.endpoint_id
"""


@dataclass(frozen=True, slots=True)
class Received:
    """One POST as it arrived."""

    headers: Mapping[str, str]
    body: bytes
    at_s: float

    @property
    def webhook_id(self) -> str:
        """Return the webhook-id."""
        return self.headers["webhook-id"]


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def no_content(_request: web.Request) -> web.StreamResponse:
    """Answer 204, as a good receiver does."""
    return web.Response(status=204)


@dataclass(slots=True)
class LoopbackReceiver:
    """A receiver on 127.0.0.1; `answer` decides what it says."""

    answer: Answer = no_content
    received: list[Received] = field(default_factory=list)
    url: str = ""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(headers, await request.read(), asyncio.get_running_loop().time()))
        return await self.answer(request)

    async def wait_for(self, count: int, timeout_s: float = PATIENCE_S) -> list[Received]:
        """Return what was received once it is `count` POSTs or more."""
        await eventually(lambda: len(self.received) >= count, timeout_s, f"{count} webhooks")
        return self.received


def verify(received: Received, secret: str) -> None:
    """Let the official package judge a webhook; raises when it is not signed with `secret`."""
    Webhook(secret).verify(received.body, dict(received.headers))


async def create_endpoint(
    database: Database,
    url: str,
    *,
    tenant: Tenant = ACME,
    event_types: tuple[str, ...] = ("*",),
    payload: str = "snapshot",
) -> CreatedEndpoint:
    """Register an endpoint as the command service does."""
    async with asyncpg.create_pool(database.command_url, min_size=1, max_size=1) as pool:
        endpoints = WebhookEndpoints(pool, SecretBox(SECRETS_KEY), max_per_tenant=20)
        return await endpoints.create(tenant, NewEndpoint(url, "", event_types, payload))


async def fan_out(database: Database, *, after_position: int = 0) -> None:
    """Apply the fan-out to the log as the projection worker does: in one transaction, as its role."""
    log = [event for event in await log_of(database) if event.position > after_position]
    connection = await asyncpg.connect(database.worker_url)
    try:
        async with connection.transaction():
            await WebhookFanout().apply(
                connection, [LogRecord.of(event, partition_of(event.stream_id, 12)) for event in log]
            )
    finally:
        await connection.close()


async def queue_orders(database: Database, orders: int, *verbs: str, tenant: Tenant = ACME) -> list[UUID]:
    """Append orders of a tenant and fan their events out; give the orders' ids."""
    order_ids = await fill_log(database.command_url, orders, *verbs, tenant_id=tenant.id)
    await fan_out(database)
    return order_ids


async def read_deliveries(database: Database) -> list[asyncpg.Record]:
    """Return all deliveries with their bodies, in order of position."""
    return await database.fetch(_DELIVERIES)


async def wait_for_states(database: Database, expected: Mapping[str, int], timeout_s: float = PATIENCE_S) -> None:
    """Wait until the queue holds so many deliveries of each state."""

    async def reached() -> bool:
        rows = await database.fetch("SELECT state, count(*) AS n FROM harbor.webhook_deliveries GROUP BY state")
        return {row["state"]: row["n"] for row in rows} == dict(expected)

    await eventually(reached, timeout_s, f"deliveries {dict(expected)}")


@asynccontextmanager
async def dispatching(
    database: Database,
    settings: WebhookSettings | None = None,
    lookup: Lookup | None = None,
    key: bytes = SECRETS_KEY,
) -> AsyncIterator[Dispatcher]:
    """Run a dispatcher in this loop; it drains when the block ends."""
    settings = settings or webhook_settings()
    postgres = PostgresSettings.model_validate({"url": database.worker_url, "pool_max": 4})
    deadlines = Deadlines(settings.connect_timeout_s, settings.total_timeout_s)
    stop = asyncio.Event()
    async with (
        DeferredPool(lambda: open_pool(postgres, application_name="test")) as late,
        WebhookSender(deadlines, settings.allow_networks, lookup) as sender,
        Wakeup(lambda: connect(postgres, application_name="test"), ["harbor_deliveries"]) as wakeup,
    ):
        seeded = Random(7)  # noqa: S311  # jitter, and the same in every run
        metrics = DispatcherMetrics(CollectorRegistry())
        dispatcher = Dispatcher(Ports(late, wakeup, sender, SecretBox(key), settings, metrics, seeded))
        running = asyncio.create_task(dispatcher.run(stop))
        try:
            yield dispatcher
        finally:
            stop.set()
            await running


def webhook_settings(**overrides: object) -> WebhookSettings:
    """Return settings with short deadlines, loopback opened, and a schedule a thousand times faster."""
    values: dict[str, object] = {
        "connect_timeout_s": 0.5,
        "total_timeout_s": 1.0,
        "poll_s": 0.05,
        "schedule_scale": 0.001,
        "allow_networks": LOOPBACK,
    }
    return WebhookSettings.model_validate(values | overrides)
