"""What an operator can do about dead letters: list, show, retry, discard.

A retry applies what is parked of one order in one projection, from the event store, in one transaction. It also applies
events that never arrived (a gap). What still fails stays parked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from infra.event_store.log_reads import read_streams
from infra.postgres.checkpoints import CheckpointKey, add_applied, lock
from infra.postgres.connection import Connection
from projections.dead_letters.isolation import apply_or_park
from projections.dead_letters.store import DeadLetter, ParkedEvent, dead_letter, park
from projections.notifications import notify
from projections.projection import LogRecord, Projection

# $1 status or NULL, $2 projection or NULL, $3 limit
_LIST = """
SELECT * FROM harbor.dead_letters
WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR projection = $2)
ORDER BY dead_letter_id LIMIT $3
"""
# $1 status or NULL, $2 projection or NULL
_COUNT = """
SELECT count(*) FROM harbor.dead_letters
WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR projection = $2)
"""
_SHOW = "SELECT * FROM harbor.dead_letters WHERE dead_letter_id = $1"
_OF_ORDER = """
SELECT * FROM harbor.dead_letters WHERE projection = $1 AND version = $2 AND order_id = $3 ORDER BY sequence
"""
_PARKED_ORDERS = """
SELECT DISTINCT ON (projection, version, order_id) * FROM harbor.dead_letters WHERE status = 'parked'
ORDER BY projection, version, order_id, sequence
"""
_DISCARD = """
UPDATE harbor.dead_letters SET status = 'discarded' WHERE dead_letter_id = $1 AND status = 'parked' RETURNING *
"""
_DELETE = "DELETE FROM harbor.dead_letters WHERE dead_letter_id = ANY($1::bigint[])"
_FAILED_AGAIN = """
UPDATE harbor.dead_letters
SET attempts = attempts + 1, reason = $2, retry_from = $3, error = $4
WHERE dead_letter_id = $1
"""

NOTHING_PARKED: Final = "nothing of this order is parked in this projection"


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry did: events applied, events still parked, and why the first of them is."""

    applied: int
    still_parked: int
    error: str | None


async def list_dead_letters(
    connection: Connection, *, status: str | None, projection: str | None, limit: int
) -> list[DeadLetter]:
    """Return dead letters, oldest first."""
    return [dead_letter(row) for row in await connection.fetch(_LIST, status, projection, limit)]


async def count_dead_letters(connection: Connection, *, status: str | None, projection: str | None) -> int:
    """Return how many dead letters there are."""
    count: int = await connection.fetchval(_COUNT, status, projection)
    return count


async def find_dead_letter(connection: Connection, dead_letter_id: int) -> DeadLetter | None:
    """Return one dead letter."""
    row = await connection.fetchrow(_SHOW, dead_letter_id)
    return None if row is None else dead_letter(row)


async def parked(connection: Connection) -> list[DeadLetter]:
    """Return the first parked event of each order in each projection."""
    return [dead_letter(row) for row in await connection.fetch(_PARKED_ORDERS)]


async def discard(connection: Connection, dead_letter_id: int) -> DeadLetter | None:
    """Discard one parked event, so that no retry ever applies it. Return None if it is not parked."""
    row = await connection.fetchrow(_DISCARD, dead_letter_id)
    return None if row is None else dead_letter(row)


async def retry(connection: Connection, projection: Projection, dead: DeadLetter) -> Retried:
    """Apply what is parked of a dead letter's order; the worker may be running.

    The checkpoint's row is locked first, as the worker does, so that no event of the order is parked or applied at the
    same time.

    Raises:
        Exception: a failure that is no event's fault, such as an unreachable database; nothing changed.
    """
    key = CheckpointKey(projection.name, projection.version, dead.partition)
    async with connection.transaction():
        checkpoint = await lock(connection, key)
        rows = await connection.fetch(_OF_ORDER, projection.name, projection.version, dead.order_id)
        of_order = [dead_letter(row) for row in rows]
        parked_before = {each.sequence: each for each in of_order if each.status == "parked"}
        if checkpoint is None or not parked_before:
            return Retried(0, 0, NOTHING_PARKED)
        discarded = {each.sequence for each in of_order if each.status == "discarded"}
        records = await _records(connection, dead, parked_before, discarded)
        failed = await apply_or_park(connection, projection, records)
        await _update(connection, projection, parked_before, failed)
        missing = sum(record.sequence not in parked_before for record in records)
        if missing:
            await add_applied(connection, key, missing)
        await notify(connection, [checkpoint])
    return Retried(len(records) - len(failed), len(failed), failed[0].error if failed else None)


async def _records(
    connection: Connection, dead: DeadLetter, before: dict[int, DeadLetter], discarded: set[int]
) -> list[LogRecord]:
    """Return the events to apply: the parked ones and those missing before them."""
    first, last = min(each.retry_from for each in before.values()), max(before)
    streams = await read_streams(connection, [dead.order_id])
    return [
        LogRecord.of(event, dead.partition)
        for event in streams.get(dead.order_id, [])
        if event.tenant_id == dead.tenant_id and first <= event.version <= last and event.version not in discarded
    ]


async def _update(
    connection: Connection, projection: Projection, before: dict[int, DeadLetter], failed: Sequence[ParkedEvent]
) -> None:
    """Delete the dead letters of what was applied, update those that failed again, park missing events that failed."""
    again = {event.record.sequence: event for event in failed}
    applied = [each.dead_letter_id for sequence, each in before.items() if sequence not in again]
    await connection.execute(_DELETE, applied)
    for sequence, event in again.items():
        if sequence in before:
            dead_letter_id = before[sequence].dead_letter_id
            await connection.execute(_FAILED_AGAIN, dead_letter_id, event.reason, event.retry_from, event.error)
    new = [event for sequence, event in again.items() if sequence not in before]
    if new:
        await park(connection, projection, new)
