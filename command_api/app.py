"""The composition root of the command service: settings -> pool -> store -> application.

Nothing is opened before the lifespan starts, and nothing waits for PostgreSQL: until it answers, /readyz says what is
missing and every command is answered 503.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import asyncpg
from fastapi import APIRouter
from prometheus_client import REGISTRY, CollectorRegistry

from command_api.errors import translate
from command_api.handle import WritePath
from command_api.late_store import LateStore
from command_api.metrics import CommandMetrics
from command_api.routes import orders
from command_api.state import BodyLimits, CommandState
from infra import clock
from infra.api_keys import KeyRecord
from infra.events import StoreUnavailableError
from infra.http.app import ServiceApp, build_app
from infra.http.auth import Authenticator
from infra.http.guards import Limits
from infra.logs import get_logger
from infra.postgres.api_keys import CHANNEL, KeyCache, find_key, keep_fresh, write_use
from infra.postgres.append_channel import PostgresAppendChannel
from infra.postgres.appender import Appender, AppenderLimits
from infra.postgres.late_pool import LatePool
from infra.postgres.partitions import PartitionsReport, keep_partitions
from infra.postgres.pool import Connection, connect, open_pool, session_settings
from infra.settings import CommandApiSettings, KafkaSettings, PostgresSettings, SecuritySettings
from infra.wakeup import Wakeup

StateContext: TypeAlias = AbstractAsyncContextManager[CommandState]
ROUTERS: Final[tuple[APIRouter, ...]] = (orders.router,)
"""Every route of the service; each declares its scope with `requires`."""

_NAME: Final = "harbor-command"
_BODY_SHARE_OF_DEADLINE: Final = 0.6
_APPEND_SHARE_OF_DEADLINE: Final = 0.9
_DESCRIPTION: Final = """
Create and change orders. Reading is the query API's.

* Every request carries an API key: `Authorization: Bearer hbr_...`.
* Every command carries an `Idempotency-Key`; sending it again is always safe and gets the first answer again.
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


@dataclass(slots=True)
class Readiness:
    """What /readyz tells: PostgreSQL answers, appends reach it, partitions exist ahead as far as was last seen."""

    database: LatePool
    appender: Appender
    partitions: PartitionsReport | None = field(default=None)

    async def __call__(self) -> Sequence[str]:
        """Give the codes of what the service waits for; empty when it can take commands."""
        waiting = await self.database.check()
        if waiting is not None:
            return [waiting]
        if not self.appender.is_reachable:
            return ["append_interrupted"]
        if self.partitions is not None and self.partitions.is_alarming:
            return ["partitions_short"]
        return []

    def note(self, report: PartitionsReport) -> None:
        """Remember the last report."""
        self.partitions = report


def create_app(settings: Settings) -> ServiceApp:
    """Give the application; it opens what it needs when it starts and closes it when it stops."""
    return assemble(settings.service, lambda metrics: _opened(settings, metrics))


def assemble(service: CommandApiSettings, opened: Callable[[CommandMetrics], StateContext]) -> ServiceApp:
    """Give the application over whatever state `opened` opens: PostgreSQL, or a store in memory."""
    registry = CollectorRegistry()
    registry.register(REGISTRY)  # the process, and the append
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
        translate=translate,
        registry=registry,
    )


def body_limits(service: CommandApiSettings) -> BodyLimits:
    """Give the bounds on a body; a late one is refused before the request's own deadline passes."""
    return BodyLimits(service.max_body_bytes, service.request_deadline_s * _BODY_SHARE_OF_DEADLINE)


@asynccontextmanager
async def _opened(settings: Settings, metrics: CommandMetrics) -> AsyncIterator[CommandState]:
    async with AsyncExitStack() as stack:
        yield await _open(settings, metrics, stack)


async def _open(settings: Settings, metrics: CommandMetrics, stack: AsyncExitStack) -> CommandState:
    database = await stack.enter_async_context(LatePool(lambda: open_pool(settings.postgres, application_name=_NAME)))
    appender = await stack.enter_async_context(_appender(settings))
    keys = KeyCache(_finder(database))
    readiness = Readiness(database, appender)
    await stack.enter_async_context(_beside(_watch_keys(settings.postgres, database, keys), "api-keys"))
    await stack.enter_async_context(_beside(_watch_partitions(database, readiness), "partitions"))
    return {
        "authenticator": Authenticator(settings.security.api_key_pepper.get_secret_value().encode(), keys),
        "ready": readiness,
        "writes": WritePath(LateStore(database, appender)),
        "bodies": body_limits(settings.service),
        "partitions": settings.kafka.partitions,
        "metrics": metrics,
        "database": database,
    }


def _appender(settings: Settings) -> Appender:
    channel = PostgresAppendChannel(lambda: connect(settings.postgres, application_name=f"{_NAME}-append"))
    service = settings.service
    limits = AppenderLimits(
        queue_commands=service.append_queue,
        batch_commands=service.append_batch,
        # Before the request's own deadline, so that the answer says what is known about the write.
        deadline_s=service.request_deadline_s * _APPEND_SHARE_OF_DEADLINE,
    )
    return Appender(channel, limits)


def _finder(database: LatePool) -> Callable[[str], Awaitable[KeyRecord | None]]:
    async def find(key_id: str) -> KeyRecord | None:
        try:
            pool = database.pool
        except StoreUnavailableError as error:
            raise ConnectionError("PostgreSQL was never reached") from error  # what the cache fails closed on
        async with pool.acquire() as connection:
            return await find_key(connection, key_id)

    return find


async def _watch_keys(settings: PostgresSettings, database: LatePool, keys: KeyCache) -> None:
    """Forget keys when they change, and note their use."""

    async def listen() -> Connection:
        url = settings.url.get_secret_value()
        return await asyncpg.connect(url, server_settings=session_settings(f"{_NAME}-keys"))

    async def write(key_ids: list[str]) -> None:
        async with database.pool.acquire() as connection:
            await write_use(connection, key_ids, clock.now())

    await database.opened()
    async with Wakeup(listen, [CHANNEL]) as wakeup:
        await keep_fresh(keys, wakeup.wait, write)


async def _watch_partitions(database: LatePool, readiness: Readiness) -> None:
    await keep_partitions(await database.opened(), reported=readiness.note)


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Run `work` beside the server; if it fails, one log line says so and the server goes on."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        get_logger().error("task.failed", task=task.get_name(), error=repr(error))
