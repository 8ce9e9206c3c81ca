"""What an operator can do about dead letters: list, show, retry, discard.

A retry applies what is parked of one order in one projection, from the event store, in one transaction. It also brings
in events that never arrived (a gap). Whatever still fails stays parked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from infra.event_store.postgres import read_streams
from infra.postgres.checkpoints import CheckpointKey, add_applied, lock
from infra.postgres.connection import Connection
from projections.dead_letters.store import DeadLetter, ParkedEvent, dead_letter, park
from projections.isolation import apply_or_park
from projections.read_models.projection import LogRecord, Projection
from projections.transaction import CHANNEL, notifications

# $1 status or NULL, $2 projection or NULL, $3 limit
_LIST = """
SELECT * FROM harbor.dead_letters
WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR projection = $2)
ORDER BY letter_id LIMIT $3
"""
_SHOW = "SELECT * FROM harbor.dead_letters WHERE letter_id = $1"
_OF_ORDER = """
SELECT * FROM harbor.dead_letters WHERE projection = $1 AND version = $2 AND order_id = $3 ORDER BY sequence
"""
_PARKED_ORDERS = """
SELECT DISTINCT ON (projection, version, order_id) * FROM harbor.dead_letters WHERE status = 'parked'
ORDER BY projection, version, order_id, sequence
"""
_DISCARD = "UPDATE harbor.dead_letters SET status = 'discarded' WHERE letter_id = $1 AND status = 'parked' RETURNING *"
_DELETE = "DELETE FROM harbor.dead_letters WHERE letter_id = ANY($1::bigint[])"
_STILL = """
UPDATE harbor.dead_letters
SET attempts = attempts + 1, reason = $2, retry_from = $3, error = $4
WHERE letter_id = $1
"""
_NOTIFY = "SELECT pg_notify($1, $2)"

NOTHING_PARKED: Final = "nothing of this order is parked in this projection"


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry did: events applied, events still parked, and why the first of them is."""

    applied: int
    still_parked: int
    error: str | None


async def list_letters(
    connection: Connection, *, status: str | None, projection: str | None, limit: int
) -> list[DeadLetter]:
    """Return letters, oldest first."""
    return [dead_letter(row) for row in await connection.fetch(_LIST, status, projection, limit)]


async def find_letter(connection: Connection, letter_id: int) -> DeadLetter | None:
    """Return one letter."""
    row = await connection.fetchrow(_SHOW, letter_id)
    return None if row is None else dead_letter(row)


async def parked(connection: Connection) -> list[DeadLetter]:
    """Return the first parked letter of each order in each projection."""
    return [dead_letter(row) for row in await connection.fetch(_PARKED_ORDERS)]


async def discard(connection: Connection, letter_id: int) -> DeadLetter | None:
    """Return one event up: it will never be applied, also by a retry. None if there is no such parked letter."""
    row = await connection.fetchrow(_DISCARD, letter_id)
    return None if row is None else dead_letter(row)


async def retry(connection: Connection, projection: Projection, letter: DeadLetter) -> Retried:
    """Apply what is parked of the letter's order; the worker may go on meanwhile.

    The checkpoint's row is locked first, as the worker does, so that no event of the order is parked or applied while
    we look.

    Raises:
        Exception: the database cannot be reached, or another failure that is no event's fault; nothing changed.
    """
    key = CheckpointKey(projection.name, projection.version, letter.partition)
    async with connection.transaction():
        checkpoint = await lock(connection, key)
        rows = await connection.fetch(_OF_ORDER, projection.name, projection.version, letter.order_id)
        letters = [dead_letter(row) for row in rows]
        waiting = {each.sequence: each for each in letters if each.status == "parked"}
        if checkpoint is None or not waiting:
            return Retried(0, 0, NOTHING_PARKED)
        given_up = {each.sequence for each in letters if each.status == "discarded"}
        records = await _records(connection, letter, waiting, given_up)
        failed = await apply_or_park(connection, projection, records)
        await _settle(connection, projection, waiting, failed)
        missing = sum(record.sequence not in waiting for record in records)
        if missing:
            await add_applied(connection, key, missing)
        for payload in notifications([checkpoint]):
            await connection.execute(_NOTIFY, CHANNEL, payload)
    return Retried(len(records) - len(failed), len(failed), failed[0].error if failed else None)


async def _records(
    connection: Connection, letter: DeadLetter, waiting: dict[int, DeadLetter], given_up: set[int]
) -> list[LogRecord]:
    """Return everything that is to be applied: parked events and those missing before them."""
    first, last = min(each.retry_from for each in waiting.values()), max(waiting)
    streams = await read_streams(connection, [letter.order_id])
    return [
        LogRecord.of(event, letter.partition)
        for event in streams.get(letter.order_id, [])
        if event.tenant_id == letter.tenant_id and first <= event.version <= last and event.version not in given_up
    ]


async def _settle(
    connection: Connection, projection: Projection, waiting: dict[int, DeadLetter], failed: Sequence[ParkedEvent]
) -> None:
    """Remove the letters of what was applied, renew those that failed again, add missing events that failed."""
    again = {letter.record.sequence: letter for letter in failed}
    await connection.execute(_DELETE, [each.letter_id for sequence, each in waiting.items() if sequence not in again])
    for sequence, letter in again.items():
        if sequence in waiting:
            letter_id = waiting[sequence].letter_id
            await connection.execute(_STILL, letter_id, letter.reason, letter.retry_from, letter.error)
    new = [letter for sequence, letter in again.items() if sequence not in waiting]
    if new:
        await park(connection, projection, new)
