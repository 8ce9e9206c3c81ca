"""API keys in PostgreSQL: create, find, list, rotate, revoke. Every change writes its event in the same transaction.

What requests go through is the bounded cache in front of this, `infra.security.key_cache`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from domain.instants import optional_instant_text
from infra.postgres.connection import Connection
from infra.security.api_key_events import write_event
from infra.security.api_keys import (
    MAX_LIVE_KEYS,
    KeyActor,
    KeyClaim,
    KeyRecord,
    KeyVisibility,
    check_owner,
    check_scopes,
    generate,
    hash_key,
    too_many_live_keys,
)
from infra.security.key_cache import LOOKUP_TIMEOUT_S

CHANNEL: Final = "harbor_keys"

_COLUMNS: Final = (
    "key_id, partner_id, livemode, scopes, hashed, label, created_at, expires_at, revoked_at, last_used_at"
)
_FIND: Final = f"SELECT {_COLUMNS} FROM harbor.api_keys WHERE key_id = $1"
_LIST: Final = f"""
    SELECT {_COLUMNS} FROM harbor.api_keys
    WHERE $1::text IS NULL OR partner_id = $1 ORDER BY created_at, key_id
"""
# $1 partner, $2 mode, $3 and $4 the row before the page (or NULL), $5 rows
_PAGE_OF_PARTNER: Final = f"""
    SELECT {_COLUMNS} FROM harbor.api_keys
    WHERE partner_id = $1 AND livemode = $2
        AND ($3::timestamptz IS NULL OR (created_at, key_id) < ($3::timestamptz, $4::text))
    ORDER BY created_at DESC, key_id DESC LIMIT $5
"""
# $1 mode, $2 and $3 the row before the page (or NULL), $4 rows
_PAGE_OF_MODE: Final = f"""
    SELECT {_COLUMNS} FROM harbor.api_keys
    WHERE livemode = $1 AND ($2::timestamptz IS NULL OR (created_at, key_id) < ($2::timestamptz, $3::text))
    ORDER BY created_at DESC, key_id DESC LIMIT $4
"""
# Changes of keys are rare and take turns, all of them: what one has looked at (how many live keys, which claim, whether
# the acting key is still live) cannot change before it commits, and no two can wait for each other.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('harbor.api_keys', 0))"
_CLAIMED: Final = "SELECT key_id, fingerprint FROM harbor.api_key_events WHERE claim = $1"
_COUNT_LIVE: Final = """
    SELECT count(*) FROM harbor.api_keys
    WHERE partner_id = $1 AND livemode = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)
"""
_INSERT: Final = """
    INSERT INTO harbor.api_keys (key_id, partner_id, livemode, scopes, hashed, label, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_REVOKE: Final = f"""
    UPDATE harbor.api_keys SET revoked_at = $2 WHERE key_id = $1 AND revoked_at IS NULL RETURNING {_COLUMNS}
"""
# An overlap only ever shortens the life of the old key.
_EXPIRE: Final = f"""
    UPDATE harbor.api_keys SET expires_at = least(expires_at, $2::timestamptz) WHERE key_id = $1 RETURNING {_COLUMNS}
"""
_USED: Final = """
    UPDATE harbor.api_keys SET last_used_at = $2::timestamptz
    WHERE key_id = ANY($1) AND (last_used_at IS NULL OR last_used_at <= $2::timestamptz - interval '60 seconds')
"""
_NOTIFY: Final = "SELECT pg_notify('harbor_keys', $1)"


class KeyStoreError(Exception):
    """Base of what this module raises."""


class TooManyKeysError(KeyStoreError):
    """The partner has `MAX_LIVE_KEYS` live keys in this mode; the message tells operators what to type."""

    def __init__(self, partner_id: str) -> None:
        keys = "python -m command_api keys"
        super().__init__(
            too_many_live_keys(lists=f"{keys} list --partner {partner_id}", revokes=f"{keys} revoke KEY_ID")
        )


class UnknownKeyError(KeyStoreError):
    """There is no key with this id that could be changed."""


class KeyAlreadyMadeError(KeyStoreError):
    """A request under this claim made `key_id` before; its secret was shown then and is not kept."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key {key_id} was made by an earlier request under this claim")
        self.key_id = key_id


class ClaimMismatchError(KeyStoreError):
    """Another request than this one made a key under this claim."""


@asynccontextmanager
async def changing_keys(connection: Connection) -> AsyncIterator[None]:
    """Hold the one transaction that may change keys now; may be entered again inside itself."""
    async with connection.transaction():
        await connection.execute(_LOCK)
        yield


async def create_key(
    connection: Connection,
    *,
    pepper: bytes,
    partner_id: str | None,
    livemode: bool,
    scopes: frozenset[str],
    now: datetime,
    by: KeyActor,
    label: str = "",
    expires_at: datetime | None = None,
    claim: KeyClaim | None = None,
) -> tuple[str, KeyRecord]:
    """Create a key and give its text, which exists nowhere else, and its record; `by` goes into its event.

    Raises:
        ValueError: the partner or label is malformed, or a scope is unknown or not for this kind of key.
        TooManyKeysError: the partner has two live keys in this mode.
        KeyAlreadyMadeError: the same request under this claim made a key before; nothing was made now.
        ClaimMismatchError: another request under this claim did.
    """
    check_owner(partner_id, label)
    check_scopes(partner_id, scopes)
    key = generate(livemode)
    record = KeyRecord(key.key_id, partner_id, livemode, scopes, hash_key(pepper, key.text), label, now, expires_at)
    async with changing_keys(connection):
        await _settle_claim(connection, claim)
        await _insert(connection, record)
        await write_event(connection, record.key_id, "api_key.created", by, _rights(record), claim)
    return key.text, record


async def rotate_key(
    connection: Connection,
    *,
    pepper: bytes,
    key_id: str,
    overlap: timedelta,
    now: datetime,
    by: KeyActor,
    claim: KeyClaim | None = None,
) -> tuple[str, KeyRecord, KeyRecord]:
    """Create a successor with the same owner, mode, scopes, label and expiry; the old key works until `overlap` ends.

    Gives the text of the successor, its record, and the record of the old key. Both keys get an event.

    Raises:
        UnknownKeyError: no such key, or it is not live.
        TooManyKeysError: a second key is already live: a rotation is under way.
        KeyAlreadyMadeError, ClaimMismatchError: as `create_key`.
    """
    async with changing_keys(connection):
        await _settle_claim(connection, claim)
        old = await find_key(connection, key_id)
        if old is None or not old.is_live(now):
            raise UnknownKeyError(f"there is no live key {key_id}")
        key = generate(old.livemode)
        successor = KeyRecord(
            key.key_id,
            old.partner_id,
            old.livemode,
            old.scopes,
            hash_key(pepper, key.text),
            old.label,
            now,
            old.expires_at,
        )
        await _insert(connection, successor)
        ended = _record(await connection.fetchrow(_EXPIRE, key_id, now + overlap))
        await connection.execute(_NOTIFY, key_id)
        told = {"predecessor": key_id} | _rights(successor)
        await write_event(connection, successor.key_id, "api_key.created", by, told, claim)
        ends = {"successor": successor.key_id, "expires_at": optional_instant_text(ended.expires_at)}
        await write_event(connection, key_id, "api_key.rotated", by, ends)
    return key.text, successor, ended


async def revoke_key(connection: Connection, *, key_id: str, now: datetime, by: KeyActor) -> KeyRecord:
    """Revoke a key, effective everywhere within 5 s; revoking twice keeps the first time, and its one event.

    Raises:
        UnknownKeyError: no such key.
    """
    async with changing_keys(connection):
        row = await connection.fetchrow(_REVOKE, key_id, now)
        if row is not None:
            await connection.execute(_NOTIFY, key_id)
            await write_event(connection, key_id, "api_key.revoked", by, {})
            return _record(row)
    found = await find_key(connection, key_id)
    if found is None:
        raise UnknownKeyError(f"there is no key {key_id}")
    return found


async def find_key(connection: Connection, key_id: str) -> KeyRecord | None:
    """Return one key by its id, live or not."""
    row = await connection.fetchrow(_FIND, key_id, timeout=LOOKUP_TIMEOUT_S)
    return None if row is None else _record(row)


async def list_keys(connection: Connection, *, partner_id: str | None = None) -> list[KeyRecord]:
    """Return the keys of one partner, or all with None, oldest first."""
    return [_record(row) for row in await connection.fetch(_LIST, partner_id)]


async def keys_page(
    connection: Connection, visibility: KeyVisibility, *, after: tuple[datetime, str] | None, rows: int
) -> list[KeyRecord]:
    """Give up to `rows` keys within reach, newest first, behind the one that was made at `after[0]` with that id."""
    before = (None, None) if after is None else after
    if visibility.partner_id is None:
        found = await connection.fetch(_PAGE_OF_MODE, visibility.livemode, *before, rows)
    else:
        found = await connection.fetch(_PAGE_OF_PARTNER, visibility.partner_id, visibility.livemode, *before, rows)
    return [_record(row) for row in found]


async def write_use(connection: Connection, key_ids: Sequence[str], now: datetime) -> None:
    """Note that these keys were used; writes a row at most once a minute."""
    await connection.execute(_USED, list(key_ids), now)


async def _settle_claim(connection: Connection, claim: KeyClaim | None) -> None:
    """Let no request through after one under the same claim that made a key."""
    if claim is None:
        return
    row = await connection.fetchrow(_CLAIMED, claim.name)
    if row is None:
        return
    if row["fingerprint"] != claim.fingerprint:
        raise ClaimMismatchError("this claim belongs to another request")
    raise KeyAlreadyMadeError(row["key_id"])


async def _insert(connection: Connection, record: KeyRecord) -> None:
    partner_id, livemode = record.partner_id, record.livemode
    if partner_id is not None:
        live = await connection.fetchval(_COUNT_LIVE, partner_id, livemode, record.created_at)
        if live >= MAX_LIVE_KEYS:
            raise TooManyKeysError(partner_id)
    await connection.execute(
        _INSERT,
        record.key_id,
        partner_id,
        livemode,
        sorted(record.scopes),
        record.hashed,
        record.label,
        record.created_at,
        record.expires_at,
    )
    await connection.execute(_NOTIFY, record.key_id)


def _rights(record: KeyRecord) -> dict[str, object]:
    return {
        "label": record.label,
        "scopes": sorted(record.scopes),
        "expires_at": optional_instant_text(record.expires_at),
    }


def _record(row: asyncpg.Record | None) -> KeyRecord:
    if row is None:
        raise AssertionError("a key that was found in this transaction is never removed")
    return KeyRecord(**{**row, "scopes": frozenset(row["scopes"])})
