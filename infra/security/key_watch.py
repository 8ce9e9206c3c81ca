"""Connect the `KeyCache` of a service to PostgreSQL: look up keys, and keep the cache fresh in the background."""

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
    """Return the function by which a `KeyCache` looks up one key."""

    async def find(key_id: str) -> KeyRecord | None:
        try:
            pool = database.pool
        except StoreUnavailableError as error:
            raise ConnectionError("PostgreSQL was never reached") from error  # on this the cache fails closed
        async with pool.acquire() as connection:
            return await find_key(connection, key_id)

    return find


def listener(settings: PostgresSettings, application_name: str) -> Connect:
    """Return the function that opens a connection for `Wakeup`, outside any pool."""

    async def listen() -> DedicatedConnection:
        url = settings.url.get_secret_value()
        return await asyncpg.connect(url, server_settings=session_settings(application_name))

    return listen


async def watch_keys(connect: Connect, database: DeferredPool, keys: KeyCache) -> None:
    """Run until cancelled: forget keys when they change, record their use."""

    async def write(key_ids: list[str]) -> None:
        async with database.pool.acquire() as connection:
            await write_use(connection, key_ids, clock.now())

    await database.opened()
    async with Wakeup(connect, [CHANNEL]) as wakeup:
        await keep_fresh(keys, wakeup.wait, write)
