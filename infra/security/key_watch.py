"""API keys of a service on PostgreSQL: how its `KeyCache` asks for one, and what keeps the cache fresh beside it."""

from collections.abc import Awaitable, Callable

import asyncpg

from infra import clock
from infra.event_store.protocol import StoreUnavailableError
from infra.postgres.connection import DedicatedConnection
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.pool import session_settings
from infra.postgres.wakeup import Connect, Wakeup
from infra.security.api_key_store import CHANNEL, find_key, write_use
from infra.security.api_keys import KeyRecord
from infra.security.key_cache import KeyCache, keep_fresh
from infra.settings import PostgresSettings


def finder(database: DeferredPool) -> Callable[[str], Awaitable[KeyRecord | None]]:
    """Return the question a `KeyCache` asks about one key."""

    async def find(key_id: str) -> KeyRecord | None:
        try:
            pool = database.pool
        except StoreUnavailableError as error:
            raise ConnectionError("PostgreSQL was never reached") from error  # what the cache fails closed on
        async with pool.acquire() as connection:
            return await find_key(connection, key_id)

    return find


def listener(settings: PostgresSettings, application_name: str) -> Connect:
    """Return what opens a connection for `Wakeup`, apart from any pool."""

    async def listen() -> DedicatedConnection:
        url = settings.url.get_secret_value()
        return await asyncpg.connect(url, server_settings=session_settings(application_name))

    return listen


async def watch_keys(connect: Connect, database: DeferredPool, keys: KeyCache) -> None:
    """Run until cancelled: forget keys when they change, write down their use."""

    async def write(key_ids: list[str]) -> None:
        async with database.pool.acquire() as connection:
            await write_use(connection, key_ids, clock.now())

    await database.opened()
    async with Wakeup(connect, [CHANNEL]) as wakeup:
        await keep_fresh(keys, wakeup.wait, write)
