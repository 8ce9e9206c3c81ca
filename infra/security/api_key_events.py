"""The history of API keys: who created, rotated or revoked which key, when, by which request.

PostgreSQL assigns the time and number of an event. The command service's role may add and read rows, not change them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import asyncpg
import orjson

from infra.postgres.connection import Connection
from infra.security.api_keys import KeyActor, KeyRequest, KeyVisibility

EventType = Literal["api_key.created", "api_key.rotated", "api_key.revoked"]

# $1 key, $2 type, $3 and $4 actor, $5 request id, $6 details, $7 and $8 name and fingerprint of the request
_WRITE: Final = """
    INSERT INTO harbor.api_key_events (key_id, type, actor_type, actor_id, request_id, details, claim, fingerprint)
    VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8)
"""
# Whose key acted: a partner sees its own keys only.
_COLUMNS: Final = """
    e.event_number, e.key_id, e.type, e.actor_type, e.actor_id, e.request_id, e.recorded_at, e.details::text AS details,
    k.partner_id, k.livemode,
    nullif(a.label, '') AS actor_label,
    coalesce(a.partner_id = k.partner_id AND a.livemode = k.livemode, false) AS is_by_owner
"""
_FROM: Final = """
    FROM harbor.api_key_events e JOIN harbor.api_keys k USING (key_id)
    LEFT JOIN harbor.api_keys a ON e.actor_type = 'api_key' AND a.key_id = e.actor_id
"""
# $1 key, $2 mode, $3 partner (NULL: all), $4 the event before the page, $5 rows
_OF_KEY: Final = f"""
    SELECT {_COLUMNS} {_FROM}
    WHERE e.key_id = $1 AND k.livemode = $2 AND ($3::text IS NULL OR k.partner_id = $3) AND e.event_number > $4
    ORDER BY e.event_number LIMIT $5
"""
# $1 key (NULL: all), $2 partner (NULL: all), $3 rows
_NEWEST: Final = f"""
    SELECT {_COLUMNS} {_FROM}
    WHERE ($1::text IS NULL OR e.key_id = $1) AND ($2::text IS NULL OR k.partner_id = $2)
    ORDER BY e.event_number DESC LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """One event of a key. `is_by_owner`: done with a key of the same partner and mode.

    `actor_label` is that of the acting key, None without a key or a label. Labels never change, and keys are kept.
    """

    number: int
    key_id: str
    partner_id: str | None
    livemode: bool
    type: str
    actor: KeyActor
    actor_label: str | None
    is_by_owner: bool
    recorded_at: datetime
    details: Mapping[str, Any]


async def write_event(
    connection: Connection,
    key_id: str,
    kind: EventType,
    by: KeyActor,
    details: Mapping[str, object],
    request: KeyRequest | None = None,
) -> None:
    """Add an event, in the transaction that changes the key.

    Raises:
        ValueError: there is no transaction, so the event or the change could be lost without the other.
    """
    if not connection.is_in_transaction():
        raise ValueError("an event is written in the transaction that changes the key")
    name, fingerprint = (None, None) if request is None else (request.name, request.fingerprint)
    text = orjson.dumps(details).decode()
    await connection.execute(_WRITE, key_id, kind, by.type, by.id, by.request_id, text, name, fingerprint)


async def events_of_key(
    connection: Connection, key_id: str, visibility: KeyVisibility, *, after: int, rows: int
) -> list[KeyEvent]:
    """Return up to `rows` events of a visible key, oldest first, after the event numbered `after`."""
    found = await connection.fetch(_OF_KEY, key_id, visibility.livemode, visibility.partner_id, after, rows)
    return [_event(row) for row in found]


async def newest_events(
    connection: Connection, *, key_id: str | None, partner_id: str | None, rows: int
) -> list[KeyEvent]:
    """Return the last `rows` events of one key, one partner or all, oldest first."""
    found = await connection.fetch(_NEWEST, key_id, partner_id, rows)
    return [_event(row) for row in reversed(found)]


def _event(row: asyncpg.Record) -> KeyEvent:
    return KeyEvent(
        number=row["event_number"],
        key_id=row["key_id"],
        partner_id=row["partner_id"],
        livemode=row["livemode"],
        type=row["type"],
        actor=KeyActor(row["actor_type"], row["actor_id"], row["request_id"]),
        actor_label=row["actor_label"],
        is_by_owner=row["is_by_owner"],
        recorded_at=row["recorded_at"],
        details=orjson.loads(row["details"]),
    )
