"""Keys in PostgreSQL and the cache in front of them; the routes of keys test what becomes of a key."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from infra import clock
from infra.background import run_in_background
from infra.postgres.connection import Connection
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.pool import open_pool
from infra.security.api_key_errors import TooManyKeysError
from infra.security.api_key_store import (
    create_key,
    find_key,
    list_keys,
    revoke_key,
    write_use,
)
from infra.security.api_keys import MAX_LIVE_KEYS, KeyActor, KeyRecord, hash_key, parse
from infra.security.key_cache import LOOKUP_TIMEOUT_S, TTL_S, KeyCache, KeyStoreUnavailableError
from infra.security.key_watch import finder, watch_keys
from infra.settings import PostgresSettings
from tests.support.services.servers import Database
from tests.support.waiting import eventually

PEPPER = b"p" * 32
NOW = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
SCOPES = frozenset({"orders:read", "orders:write"})
BY = KeyActor("cli", "ada", "r-1")


async def make(connection: Connection, partner_id: str | None = "acme", *, livemode: bool = False) -> str:
    scopes = SCOPES if partner_id else frozenset({"audit:read"})
    text, _record = await create_key(
        connection, pepper=PEPPER, partner_id=partner_id, livemode=livemode, scopes=scopes, now=NOW, by=BY
    )
    return text


async def test_a_key_is_found_as_it_was_created(connection: Connection) -> None:
    text, record = await create_key(
        connection, pepper=PEPPER, partner_id="acme", livemode=True, scopes=SCOPES, now=NOW, by=BY, label="checkout"
    )

    assert await find_key(connection, parse(text).key_id) == record
    assert await list_keys(connection, partner_id="acme") == [record]
    assert await find_key(connection, "missing0") is None
    row = await connection.fetchrow("SELECT * FROM harbor.api_keys")
    assert row is not None
    assert row["hashed"] == hash_key(PEPPER, text)
    assert text not in str(dict(row)), "only its hash is stored"


async def test_of_ten_creations_at_once_two_take_the_last_places_and_other_owners_and_modes_are_not_counted(
    database: Database, connection: Connection
) -> None:
    for _ in range(MAX_LIVE_KEYS - 2):
        await make(connection)

    async def one() -> bool:
        own = await asyncpg.connect(database.command_url)
        try:
            await make(own)
        except TooManyKeysError:
            return False
        finally:
            await own.close()
        return True

    assert sum(await asyncio.gather(*(one() for _ in range(10)))) == 2
    await make(connection, livemode=True)
    await make(connection, "globex")
    for _ in range(3):
        await make(connection, None)


async def test_the_last_use_is_written_once_a_minute_at_most(connection: Connection) -> None:
    key_id = parse(await make(connection)).key_id
    for seconds in (0, 59, 61):
        await write_use(connection, [key_id], NOW + timedelta(seconds=seconds))
        record = await find_key(connection, key_id)
        assert record is not None
        assert record.last_used_at == NOW + timedelta(seconds=61 if seconds == 61 else 0)


async def test_no_service_may_change_what_a_key_opens_and_the_query_service_only_notes_uses(
    database: Database, connection: Connection
) -> None:
    await make(connection)
    for change in (
        "SET scopes = '{orders:cancel}'",
        "SET partner_id = 'globex'",
        "SET hashed = hashed",
        "SET expires_at = NULL",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"UPDATE harbor.api_keys {change}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("DELETE FROM harbor.api_keys")
    async with asyncpg.create_pool(database.query_url, min_size=1, max_size=1) as pool, pool.acquire() as query:
        await write_use(query, ["missing0"], NOW)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await make(query)


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


class Store:
    def __init__(self) -> None:
        self.record: KeyRecord | None = KeyRecord("ABCDEFGH", "acme", False, SCOPES, b"h" * 32, "", NOW)
        self.asked = 0
        self.error: Exception | None = None

    async def find(self, _key_id: str) -> KeyRecord | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return self.record


async def test_the_store_is_asked_once_however_many_requests_wait() -> None:
    store = Store()
    keys = KeyCache(store.find)

    found = await asyncio.gather(*(keys.get("ABCDEFGH") for _ in range(50)))

    assert set(found) == {store.record}
    assert store.asked == 1


async def test_an_entry_is_never_used_when_it_is_older_than_its_time_to_live() -> None:
    store, now = Store(), Clock()
    keys = KeyCache(store.find, monotonic_s=now)
    await keys.get("ABCDEFGH")
    store.record = None

    now.s = TTL_S - 0.001
    still = await keys.get("ABCDEFGH")
    now.s = TTL_S
    gone = await keys.get("ABCDEFGH")

    assert [still is None, gone is None] == [False, True]
    assert TTL_S + LOOKUP_TIMEOUT_S <= 5, "a revocation is effective within 5 s, also without a notification"


@pytest.mark.parametrize("error", [ConnectionError(), TimeoutError(), asyncpg.CannotConnectNowError()])
async def test_an_old_entry_is_refused_when_the_store_is_down(error: Exception) -> None:
    store, now = Store(), Clock()
    keys = KeyCache(store.find, monotonic_s=now)
    await keys.get("ABCDEFGH")
    store.error = error

    now.s = TTL_S - 0.001
    assert await keys.get("ABCDEFGH") == store.record
    now.s = TTL_S
    with pytest.raises(KeyStoreUnavailableError):
        await keys.get("ABCDEFGH")


async def test_a_waiter_that_gives_up_does_not_harm_the_others() -> None:
    store = Store()
    keys = KeyCache(store.find)
    first, second = asyncio.create_task(keys.get("ABCDEFGH")), asyncio.create_task(keys.get("ABCDEFGH"))
    await asyncio.sleep(0)

    first.cancel()

    assert await second == store.record


async def test_unknown_ids_are_cached_within_bounds() -> None:
    store = Store()
    store.record = None
    keys = KeyCache(store.find, capacity=3)

    for key_id in ("a", "b", "c", "a", "d", "b"):
        await keys.get(key_id)
    asked = store.asked
    await keys.get("a")

    assert asked == 4, "a, b, c, d; then b was still remembered"
    assert store.asked == 5, "a had made room for d"


async def test_a_notification_makes_a_revocation_effective_at_once(database: Database, connection: Connection) -> None:
    settings = PostgresSettings.model_validate({"url": database.command_url})
    async with DeferredPool(lambda: open_pool(settings, application_name="keys")) as pool:
        keys = KeyCache(finder(pool), ttl_s=1000)
        key_id = parse(await make(connection)).key_id

        async def is_revoked() -> bool:
            record = await keys.get(key_id)
            return record is not None and record.revoked_at is not None

        def watch() -> Coroutine[None, None, None]:
            return watch_keys(lambda: asyncpg.connect(database.command_url), pool, keys)

        async with run_in_background(watch, "keys"):
            assert not await is_revoked()
            await revoke_key(connection, key_id=key_id, now=clock.now(), by=BY)
            await eventually(is_revoked)
