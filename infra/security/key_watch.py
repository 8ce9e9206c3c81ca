"""Connect the `KeyCache` of a service to PostgreSQL: look up keys, and keep the cache fresh in the background."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from infra import clock
from infra.observability.logs import get_logger
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.postgres.wakeup import Connect, Wakeup
from infra.security.api_key_store import CHANNEL, find_key, write_use
from infra.security.api_keys import KeyRecord
from infra.security.key_cache import KeyCache

_USE_WRITTEN_EVERY_S: Final = 60.0


def finder(database: DeferredPool) -> Callable[[str], Awaitable[KeyRecord | None]]:
    """Return the function by which a `KeyCache` looks up one key."""

    async def find(key_id: str) -> KeyRecord | None:
        # While the pool is not open this raises a `ConnectionError`, on which the cache fails closed.
        async with database.pool.acquire() as connection:
            return await find_key(connection, key_id)

    return find


async def watch_keys(connect: Connect, database: DeferredPool, keys: KeyCache) -> None:
    """Run until cancelled: forget keys when they change, record their use once a minute.

    `connect` opens a connection outside any pool. A failed write is dropped: the time of last use is only informative.
    """
    pool = await database.opened()
    written_at_s = clock.monotonic_s()
    async with Wakeup(connect, [CHANNEL]) as wakeup:
        while True:
            notifications = await wakeup.wait(_USE_WRITTEN_EVERY_S)
            for _channel, key_id in notifications:
                keys.forget(key_id)
            if not notifications:  # the connection may be new: those in between were lost
                keys.forget_all()
            if clock.monotonic_s() - written_at_s < _USE_WRITTEN_EVERY_S:
                continue
            written_at_s = clock.monotonic_s()
            used = keys.take_uses()
            if used:
                with suppress(*ANY_DATABASE_ERROR):
                    async with pool.acquire() as connection:
                        await write_use(connection, used, clock.now())
                    get_logger().debug("api_keys.use_written", keys=len(used))
