"""API keys in PostgreSQL (create, list, rotate, revoke), and the bounded cache every request goes through.

A revocation is effective in every process within `TTL_S`, with or without its notification, because no entry is used
when it is older. When the store cannot be asked, an old entry is refused and not trusted: the cache fails closed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from infra import clock
from infra.api_keys import MAX_LIVE_KEYS, KeyRecord, check_owner, check_scopes, generate, hash_key
from infra.logs import get_logger
from infra.postgres.failures import UNREACHABLE

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

CHANNEL: Final = "harbor_keys"
TTL_S: Final = 4.0
"""Below the promised 5 s by the time one lookup may take."""
LOOKUP_TIMEOUT_S: Final = 1.0
MAX_ENTRIES: Final = 10_000
USE_WRITTEN_EVERY_S: Final = 60.0

_COLUMNS: Final = (
    "key_id, partner_id, livemode, scopes, hashed, label, created_at, expires_at, revoked_at, last_used_at"
)
_FIND: Final = f"SELECT {_COLUMNS} FROM harbor.api_keys WHERE key_id = $1"
_LIST: Final = f"""
    SELECT {_COLUMNS} FROM harbor.api_keys
    WHERE $1::text IS NULL OR partner_id = $1 ORDER BY created_at, key_id
"""
# $1 partner, $2 mode: creations for one partner queue here, so that two at once cannot both be the second key.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('harbor.api_keys/' || $1 || '/' || $2, 0))"
_COUNT_LIVE: Final = """
    SELECT count(*) FROM harbor.api_keys
    WHERE partner_id = $1 AND livemode = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)
"""
_INSERT: Final = """
    INSERT INTO harbor.api_keys (key_id, partner_id, livemode, scopes, hashed, label, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_REVOKE: Final = f"""
    UPDATE harbor.api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE key_id = $1 RETURNING {_COLUMNS}
"""
# An overlap only ever shortens the life of the old key.
_EXPIRE: Final = """
    UPDATE harbor.api_keys SET expires_at = least(expires_at, $2::timestamptz) WHERE key_id = $1
"""
_USED: Final = """
    UPDATE harbor.api_keys SET last_used_at = $2::timestamptz
    WHERE key_id = ANY($1) AND (last_used_at IS NULL OR last_used_at <= $2::timestamptz - interval '60 seconds')
"""
_NOTIFY: Final = "SELECT pg_notify('harbor_keys', $1)"


class KeyStoreError(Exception):
    """Base of what this module raises."""


class TooManyKeysError(KeyStoreError):
    """The partner has `MAX_LIVE_KEYS` live keys in this mode; revoke one first."""


class UnknownKeyError(KeyStoreError):
    """There is no key with this id that could be changed."""


class KeyStoreUnavailableError(KeyStoreError):
    """The store does not answer and what is remembered is too old to be trusted."""


async def create_key(
    connection: Connection,
    *,
    pepper: bytes,
    partner_id: str | None,
    livemode: bool,
    scopes: frozenset[str],
    now: datetime,
    label: str = "",
    expires_at: datetime | None = None,
) -> tuple[str, KeyRecord]:
    """Create a key and give its text, which exists nowhere else, and its record.

    Raises:
        ValueError: the partner or label is malformed, or a scope is unknown or not for this kind of key.
        TooManyKeysError: the partner has two live keys in this mode.
    """
    check_owner(partner_id, label)
    check_scopes(partner_id, scopes)
    key = generate(livemode)
    hashed = hash_key(pepper, key.text)
    async with connection.transaction():
        if partner_id is not None:
            await connection.execute(_LOCK, partner_id, str(livemode))
            if await connection.fetchval(_COUNT_LIVE, partner_id, livemode, now) >= MAX_LIVE_KEYS:
                raise TooManyKeysError(f"{partner_id} has {MAX_LIVE_KEYS} live keys in this mode; revoke one first")
        await connection.execute(
            _INSERT, key.key_id, partner_id, livemode, sorted(scopes), hashed, label, now, expires_at
        )
        await connection.execute(_NOTIFY, key.key_id)
    return key.text, KeyRecord(key.key_id, partner_id, livemode, scopes, hashed, label, now, expires_at)


async def rotate_key(
    connection: Connection, *, pepper: bytes, key_id: str, overlap: timedelta, now: datetime
) -> tuple[str, KeyRecord]:
    """Create a key with the same owner, mode and scopes; the old one stops working after `overlap`.

    Raises:
        UnknownKeyError: no such key, or it is not live.
        TooManyKeysError: a second key is already live: a rotation is under way.
    """
    async with connection.transaction():
        old = await find_key(connection, key_id)
        if old is None or not old.is_live(now):
            raise UnknownKeyError(f"there is no live key {key_id}")
        created = await create_key(
            connection,
            pepper=pepper,
            partner_id=old.partner_id,
            livemode=old.livemode,
            scopes=old.scopes,
            now=now,
            label=old.label,
        )
        await connection.execute(_EXPIRE, key_id, now + overlap)
        await connection.execute(_NOTIFY, key_id)
    return created


async def revoke_key(connection: Connection, *, key_id: str, now: datetime) -> KeyRecord:
    """Revoke a key, effective everywhere within `TTL_S`; revoking twice keeps the first time.

    Raises:
        UnknownKeyError: no such key.
    """
    async with connection.transaction():
        row = await connection.fetchrow(_REVOKE, key_id, now)
        if row is None:
            raise UnknownKeyError(f"there is no key {key_id}")
        await connection.execute(_NOTIFY, key_id)
    return _record(row)


async def find_key(connection: Connection, key_id: str) -> KeyRecord | None:
    """Give one key by its id, live or not."""
    row = await connection.fetchrow(_FIND, key_id, timeout=LOOKUP_TIMEOUT_S)
    return None if row is None else _record(row)


async def list_keys(connection: Connection, *, partner_id: str | None = None) -> list[KeyRecord]:
    """Give the keys of one partner, or all with None, oldest first."""
    return [_record(row) for row in await connection.fetch(_LIST, partner_id)]


async def write_use(connection: Connection, key_ids: Sequence[str], now: datetime) -> None:
    """Note that these keys were used; writes a row at most once a minute."""
    await connection.execute(_USED, list(key_ids), now)


def _record(row: asyncpg.Record) -> KeyRecord:
    return KeyRecord(**{**row, "scopes": frozenset(row["scopes"])})


@dataclass(frozen=True, slots=True)
class _Entry:
    record: KeyRecord | None
    asked_at_s: float


class KeyCache:
    """Keys as the store had them at most `TTL_S` ago; unknown ids are remembered too.

    `find` asks the store for one key. `capacity` bounds the memory: the entry that was fetched first goes first.
    """

    def __init__(
        self,
        find: Callable[[str], Awaitable[KeyRecord | None]],
        *,
        ttl_s: float = TTL_S,
        capacity: int = MAX_ENTRIES,
        monotonic_s: Callable[[], float] = clock.monotonic_s,
    ) -> None:
        self._find = find
        self._ttl_s = ttl_s
        self._capacity = capacity
        self._monotonic_s = monotonic_s
        self._entries: dict[str, _Entry] = {}
        self._lookups: dict[str, asyncio.Task[KeyRecord | None]] = {}
        self._used: set[str] = set()

    async def get(self, key_id: str) -> KeyRecord | None:
        """Give the record of a key, or None when there is none.

        Raises:
            KeyStoreUnavailableError: the store does not answer and the entry is older than the time to live.
        """
        entry = self._entries.get(key_id)
        if entry is None or self._monotonic_s() - entry.asked_at_s >= self._ttl_s:
            return await self._look_up(key_id)
        return entry.record

    def note_use(self, key_id: str) -> None:
        """Remember that a key opened something, for `write_uses`."""
        self._used.add(key_id)

    def take_uses(self) -> list[str]:
        """Give the keys used since the last call, and forget them."""
        used = sorted(self._used)
        self._used.clear()
        return used

    def forget(self, key_id: str) -> None:
        """Drop a key that was changed; the next request asks the store."""
        self._entries.pop(key_id, None)

    async def _look_up(self, key_id: str) -> KeyRecord | None:
        """Ask once, however many requests wait; one that is cancelled does not cancel the others."""
        lookup = self._lookups.get(key_id)
        if lookup is None:
            lookup = asyncio.create_task(self._ask(key_id))
            self._lookups[key_id] = lookup
            lookup.add_done_callback(lambda _done: self._lookups.pop(key_id, None))
        return await asyncio.shield(lookup)

    async def _ask(self, key_id: str) -> KeyRecord | None:
        asked_at_s = self._monotonic_s()  # before the question: the answer may be as old as that
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                record = await self._find(key_id)
        except UNREACHABLE as error:
            raise KeyStoreUnavailableError("the store of API keys does not answer") from error
        self._entries.pop(key_id, None)
        if len(self._entries) >= self._capacity:
            del self._entries[next(iter(self._entries))]
        self._entries[key_id] = _Entry(record, asked_at_s)
        return record


async def keep_fresh(
    keys: KeyCache,
    wait: Callable[[float], Awaitable[list[tuple[str, str]]]],
    write: Callable[[list[str]], Awaitable[None]],
) -> None:
    """Run until cancelled: forget keys that changed (`wait` gives notifications), write uses once a minute.

    `wait` is `Wakeup.wait` on `CHANNEL`; `write` is `write_use` over a connection. A failed write is dropped: the time
    of last use is a convenience.
    """
    written_at_s = clock.monotonic_s()
    while True:
        for _channel, key_id in await wait(USE_WRITTEN_EVERY_S):
            keys.forget(key_id)
        if clock.monotonic_s() - written_at_s < USE_WRITTEN_EVERY_S:
            continue
        written_at_s = clock.monotonic_s()
        used = keys.take_uses()
        if used:
            with suppress(*UNREACHABLE):
                await write(used)
                get_logger().debug("api_keys.use_written", keys=len(used))
