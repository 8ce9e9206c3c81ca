"""Streams and pages of the log, as the library's records.

A page is read window by window: positions have no holes, so a window bounds what one statement looks at even when it
filters for a tenant or a topic that is rare.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
from eventsourcing.persistence import InternalError, Notification, ProgrammingError, StoredEvent

from infra.eventsourcing_module import origin
from infra.postgres.connection import Connection

LOG_ID: Final = 0
_WINDOW: Final = 20_000
_LOWEST_VERSION: Final = -1
_HIGHEST_VERSION: Final = 2**31 - 2  # one less than the column holds: a stream from 0 is stored one higher

_STREAM = f"""
SELECT e.tenant_id, e.stream_id, e.version - s.zero AS version, e.type, e.payload
FROM (
    SELECT tenant_id, stream_id, {origin.ZERO} AS zero FROM harbor.streams s
    WHERE stream_id = $1 AND ($2::text IS NULL OR tenant_id = $2)
) AS s
JOIN harbor.events e ON e.stream_id = s.stream_id AND e.tenant_id = s.tenant_id
WHERE e.version > $3::integer + s.zero AND e.version <= $4::integer + s.zero
"""
_FORWARDS = f"{_STREAM} ORDER BY e.version LIMIT $5"
_BACKWARDS = f"{_STREAM} ORDER BY e.version DESC LIMIT $5"

# A subquery and not a join: whatever the statistics say, it is one look-up by key per returned row.
_WINDOW_OF_LOG = f"""
SELECT e.position, e.stream_id, e.type, e.payload, e.version - (
    SELECT {origin.ZERO} FROM harbor.streams s WHERE s.stream_id = e.stream_id AND s.tenant_id = e.tenant_id
) AS version
FROM harbor.events e
WHERE e.log_id = $1 AND e.position > $2 AND e.position <= $3
  AND ($4::text IS NULL OR e.tenant_id = $4) AND ($5::text[] IS NULL OR e.type = ANY($5))
ORDER BY e.position LIMIT $6
"""

_HEAD = "SELECT last_position FROM harbor.batches WHERE log_id = $1 ORDER BY last_position DESC LIMIT 1"

_LAST_IN_WINDOW = """
SELECT position FROM harbor.events
WHERE log_id = $1 AND position > $2 AND position <= $3 AND tenant_id = $4
ORDER BY position DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Notifications, and how far the log was looked through for them; `is_last`: up to where it ended."""

    notifications: list[Notification]
    scanned_to: int
    is_last: bool


async def read_stream(
    connection: Connection,
    tenant_id: str | None,
    originator_id: UUID,
    *,
    gt: int | None,
    lte: int | None,
    desc: bool,
    limit: int | None,
) -> list[StoredEvent]:
    """Return events of one stream whose library version is above `gt` and at most `lte`; the bounds may be left out.

    Raises:
        ProgrammingError: two tenants use this id, and none was chosen.
    """
    rows = await connection.fetch(
        _BACKWARDS if desc else _FORWARDS,
        originator_id,
        tenant_id,
        max(_LOWEST_VERSION, min(_HIGHEST_VERSION, _LOWEST_VERSION if gt is None else gt)),
        max(_LOWEST_VERSION, min(_HIGHEST_VERSION, _HIGHEST_VERSION if lte is None else lte)),
        limit,
    )
    if len({row["tenant_id"] for row in rows}) > 1:
        raise ProgrammingError(f"several tenants have a stream {originator_id}: set HARBOR_TENANT")
    return [stored_event(row) for row in rows]


async def read_page(
    connection: Connection, tenant_id: str | None, *, after: int, upto: int | None, topics: Sequence[str], limit: int
) -> Page:
    """Return at most `limit` notifications with ids above `after` and at most `upto`, looking at one window of the log.

    Raises:
        InternalError: a position is missing.
    """
    head = await _head(connection)
    end = head if upto is None else min(head, upto)
    to = min(after + max(_WINDOW, limit), end)
    if to <= after or limit < 1:
        return Page([], after, is_last=True)
    rows = await connection.fetch(_WINDOW_OF_LOG, LOG_ID, after, to, tenant_id, list(topics) or None, limit)
    if tenant_id is None and not topics:
        _assert_no_hole(rows, after, min(to, after + limit))
    scanned_to = rows[-1]["position"] if len(rows) == limit else to
    return Page([_notification(row) for row in rows], scanned_to, is_last=scanned_to >= end)


async def last_position(connection: Connection, tenant_id: str | None) -> int | None:
    """Return the position of the tenant's last event, or of anybody's; None when there is none."""
    upto = await _head(connection)
    if tenant_id is None:
        return upto or None
    while upto > 0:
        after = max(0, upto - _WINDOW)
        found: int | None = await connection.fetchval(_LAST_IN_WINDOW, LOG_ID, after, upto, tenant_id)
        if found is not None:
            return found
        upto = after
    return None


async def _head(connection: Connection) -> int:
    return await connection.fetchval(_HEAD, LOG_ID) or 0


def _assert_no_hole(rows: Sequence[asyncpg.Record], after: int, upto: int) -> None:
    if len(rows) == upto - after:
        return
    present = {row["position"] for row in rows}
    missing = next(position for position in range(after + 1, upto + 1) if position not in present)
    raise InternalError(f"position {missing} is missing from the log: stop and call an operator")


def stored_event(row: asyncpg.Record) -> StoredEvent:
    """Return the library's event of a row with `stream_id`, `version`, `type` and `payload`."""
    return StoredEvent(
        originator_id=origin.plain(row["stream_id"]),
        originator_version=row["version"],
        topic=row["type"],
        state=row["payload"],
    )


def _notification(row: asyncpg.Record) -> Notification:
    return Notification(
        id=row["position"],
        originator_id=origin.plain(row["stream_id"]),
        originator_version=row["version"],
        topic=row["type"],
        state=row["payload"],
    )
