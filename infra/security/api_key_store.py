"""API keys in PostgreSQL: create, find, list, rotate, revoke. Every change writes its event in the same transaction.

Requests find their key through the bounded cache in front of this, `infra.security.key_cache`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from domain.instants import optional_instant_text
from infra.postgres.connection import Connection
from infra.security.api_key_errors import (
    KeyAlreadyMadeError,
    RequestMismatchError,
    TooManyKeysError,
    TooManyOverlappingKeysError,
    UnknownKeyError,
)
from infra.security.api_key_events import write_event
from infra.security.api_keys import (
    MAX_LIVE_KEYS,
    MAX_OVERLAP,
    MAX_OVERLAPPING_KEYS,
    KeyActor,
    KeyRecord,
    KeyRequest,
    KeyVisibility,
    check_owner,
    check_scopes,
    generate,
    hash_key,
)
from infra.security.key_cache import LOOKUP_TIMEOUT_S

CHANNEL: Final = "harbor_keys"

_COLUMNS: Final = (
    "key_id, partner_id, livemode, scopes, hashed, label, created_at, expires_at, revoked_at, last_used_at, "
    "overlap_ends_at"
)
_FIND: Final = f"SELECT {_COLUMNS} FROM harbor.api_keys WHERE key_id = $1"
_LIST: Final = f"""
    SELECT {_COLUMNS} FROM harbor.api_keys
    WHERE $1::text IS NULL OR partner_id = $1 ORDER BY created_at, key_id
"""
# $1 mode, $2 partner (NULL: all), $3 and $4 the row before the page (or NULL), $5 rows
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM harbor.api_keys
    WHERE livemode = $1 AND ($2::text IS NULL OR partner_id = $2)
        AND ($3::timestamptz IS NULL OR (created_at, key_id) < ($3::timestamptz, $4::text))
    ORDER BY created_at DESC, key_id DESC LIMIT $5
"""
# Changes of keys are rare, so only one runs at a time: what it has read (how many live keys, which requests, whether
# the acting key is still live) cannot change before it commits, and no two can deadlock.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('harbor.api_keys', 0))"
_MADE_BY_REQUEST: Final = """
    SELECT key_id, fingerprint, recorded_at, details->>'predecessor' AS predecessor FROM harbor.api_key_events
    WHERE claim = $1
"""
# $1 partner, $2 mode, $3 now, $4 the key that is being replaced (or NULL). A key that was rotated works only until its
# overlap ends; its successor has its place.
_COUNT_LIVE: Final = """
    SELECT count(*) FROM harbor.api_keys
    WHERE partner_id = $1 AND livemode = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)
        AND overlap_ends_at IS NULL AND key_id IS DISTINCT FROM $4
"""
# $1 partner, $2 mode, $3 now: the rotated key that is the first to end, and how many still work
_FIRST_TO_END: Final = """
    SELECT key_id, least(overlap_ends_at, expires_at) AS ends_at, count(*) OVER () AS overlapping FROM harbor.api_keys
    WHERE partner_id = $1 AND livemode = $2 AND revoked_at IS NULL AND least(overlap_ends_at, expires_at) > $3
        AND overlap_ends_at IS NOT NULL
    ORDER BY ends_at, key_id LIMIT 1
"""
_INSERT: Final = """
    INSERT INTO harbor.api_keys (key_id, partner_id, livemode, scopes, hashed, label, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_REVOKE: Final = f"""
    UPDATE harbor.api_keys SET revoked_at = $2 WHERE key_id = $1 AND revoked_at IS NULL RETURNING {_COLUMNS}
"""
# A second rotation makes no overlap longer. The expiry stays, for the successors.
_END_OVERLAP: Final = f"""
    UPDATE harbor.api_keys SET overlap_ends_at = least(overlap_ends_at, $2::timestamptz)
    WHERE key_id = $1 RETURNING {_COLUMNS}
"""
_USED: Final = """
    UPDATE harbor.api_keys SET last_used_at = $2::timestamptz
    WHERE key_id = ANY($1) AND (last_used_at IS NULL OR last_used_at <= $2::timestamptz - interval '60 seconds')
"""
_NOTIFY: Final = "SELECT pg_notify('harbor_keys', $1)"


@asynccontextmanager
async def changing_keys(connection: Connection) -> AsyncIterator[None]:
    """Open the one transaction that may change keys now; may be nested."""
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
    request: KeyRequest | None = None,
) -> tuple[str, KeyRecord]:
    """Create a key and return its text, which is not kept anywhere, and its record; `by` goes into its event.

    Raises:
        ValueError: the partner or label is malformed, or a scope is unknown or not for this kind of key.
        TooManyKeysError: the partner has too many live keys in this mode.
        KeyAlreadyMadeError: the same `request` made a key before; nothing was made now.
        RequestMismatchError: another request of the same name did.
    """
    check_owner(partner_id, label)
    check_scopes(partner_id, scopes)
    key = generate(livemode)
    record = KeyRecord(key.key_id, partner_id, livemode, scopes, hash_key(pepper, key.text), label, now, expires_at)
    async with changing_keys(connection):
        await _require_first(connection, request)
        await _insert(connection, record)
        await write_event(connection, record.key_id, "api_key.created", by, _rights(record), request)
    return key.text, record


async def rotate_key(
    connection: Connection,
    *,
    pepper: bytes,
    key_id: str,
    overlap: timedelta,
    now: datetime,
    by: KeyActor,
    request: KeyRequest | None = None,
) -> tuple[str, KeyRecord, KeyRecord]:
    """Create a successor with the same owner, mode, scopes, label and expiry; the old key works until `overlap` ends.

    A key that is rotated again, because its successor was lost, still passes on the expiry that it was created with.
    Return the text of the successor, its record, and the record of the old key. Both keys get an event.

    Raises:
        ValueError: the overlap is not one of 0 to 7 days.
        UnknownKeyError: there is no such key, or it is not live.
        TooManyKeysError: the key was rotated before, so that it has no place to give up, and none is free.
        TooManyOverlappingKeysError: there is an overlap, and too many other keys are in theirs.
        KeyAlreadyMadeError, RequestMismatchError: as `create_key`.
    """
    if not timedelta() <= overlap <= MAX_OVERLAP:
        raise ValueError(f"an overlap has 0 to {MAX_OVERLAP.days} days")
    async with changing_keys(connection):
        await _require_first(connection, request)
        old = await find_key(connection, key_id)
        if old is None or not old.is_live(now):
            raise UnknownKeyError(f"there is no live key {key_id}")
        if overlap and old.overlap_ends_at is None:
            await _require_overlap(connection, old, now)
        key = generate(old.livemode)
        successor = replace(
            old,
            key_id=key.key_id,
            hashed=hash_key(pepper, key.text),
            created_at=now,
            last_used_at=None,
            overlap_ends_at=None,
        )
        await _insert(connection, successor, replaces=key_id)
        ended = _record(await connection.fetchrow(_END_OVERLAP, key_id, now + overlap))
        await connection.execute(_NOTIFY, key_id)
        created = {"predecessor": key_id} | _rights(successor)
        await write_event(connection, successor.key_id, "api_key.created", by, created, request)
        rotated = {"successor": successor.key_id, "expires_at": optional_instant_text(ended.ends_at)}
        await write_event(connection, key_id, "api_key.rotated", by, rotated)
    return key.text, successor, ended


async def revoke_key(connection: Connection, *, key_id: str, now: datetime, by: KeyActor) -> KeyRecord:
    """Revoke a key, effective everywhere within 5 s; a second time changes nothing and writes no event.

    Raises:
        UnknownKeyError: there is no such key.
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
    """Return up to `rows` visible keys, newest first, after the key created at `after[0]` with the id `after[1]`."""
    found = await connection.fetch(_PAGE, visibility.livemode, visibility.partner_id, *(after or (None, None)), rows)
    return [_record(row) for row in found]


async def write_use(connection: Connection, key_ids: Sequence[str], now: datetime) -> None:
    """Record that these keys were used; a row is written at most once a minute."""
    await connection.execute(_USED, list(key_ids), now)


async def _require_first(connection: Connection, request: KeyRequest | None) -> None:
    """Raise if a request of the same name made a key."""
    row = None if request is None else await connection.fetchrow(_MADE_BY_REQUEST, request.name)
    if request is None or row is None:
        return
    if row["fingerprint"] != request.fingerprint:
        raise RequestMismatchError(row["key_id"], row["recorded_at"], row["predecessor"], row["fingerprint"])
    raise KeyAlreadyMadeError(row["key_id"])


async def _require_overlap(connection: Connection, record: KeyRecord, now: datetime) -> None:
    """Raise if no other key of the partner may go on working after its rotation."""
    first = await connection.fetchrow(_FIRST_TO_END, record.partner_id, record.livemode, now)
    if first is not None and first["overlapping"] >= MAX_OVERLAPPING_KEYS:
        raise TooManyOverlappingKeysError(first["key_id"], first["ends_at"])


async def _insert(connection: Connection, record: KeyRecord, replaces: str | None = None) -> None:
    partner_id, livemode, now = record.partner_id, record.livemode, record.created_at
    if partner_id is not None:
        live = await connection.fetchval(_COUNT_LIVE, partner_id, livemode, now, replaces)
        if live >= MAX_LIVE_KEYS:
            raise TooManyKeysError(partner_id)
    rights = (sorted(record.scopes), record.hashed, record.label, now, record.expires_at)
    await connection.execute(_INSERT, record.key_id, partner_id, livemode, *rights)
    await connection.execute(_NOTIFY, record.key_id)


def _rights(record: KeyRecord) -> dict[str, object]:
    expires_at = optional_instant_text(record.expires_at)
    return {"label": record.label, "scopes": sorted(record.scopes), "expires_at": expires_at}


def _record(row: asyncpg.Record | None) -> KeyRecord:
    if row is None:
        raise AssertionError("no transaction removes a key")
    return KeyRecord(**{**row, "scopes": frozenset(row["scopes"])})
