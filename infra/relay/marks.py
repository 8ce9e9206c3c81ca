"""The relay's advisory row: where it was when it last wrote that down. Losing the row costs time, never an event."""

from typing import Final

from infra.event_store.protocol import StoreUnavailableError
from infra.observability.reasons import reason_of
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.postgres.pool import Pool
from infra.relay.resume import Marks

_TIMEOUT_S: Final = 5.0

# $1 topic
_READ = "SELECT low_water, acked, ends FROM harbor.relay_marks WHERE topic = $1"
# $1 topic, $2 low water, $3 acked positions, $4 end offsets, $5 epoch; an older epoch never overwrites a newer one
_WRITE = """
INSERT INTO harbor.relay_marks AS marks (topic, low_water, acked, ends, epoch, updated_at)
VALUES ($1, $2, $3, $4, $5, clock_timestamp())
ON CONFLICT (topic) DO UPDATE
SET low_water = excluded.low_water, acked = excluded.acked, ends = excluded.ends, epoch = excluded.epoch,
    updated_at = excluded.updated_at
WHERE marks.epoch <= excluded.epoch
"""


async def read_marks(pool: Pool, topic: str) -> Marks | None:
    """Return what was written down for this topic, if anything.

    Raises:
        StoreUnavailableError: PostgreSQL does not serve.
    """
    try:
        row = await pool.fetchrow(_READ, topic, timeout=_TIMEOUT_S)
    except ANY_DATABASE_ERROR as error:
        raise StoreUnavailableError(reason_of(error)) from error
    return None if row is None else Marks(row["low_water"], tuple(row["acked"]), tuple(row["ends"]))


async def write_marks(pool: Pool, topic: str, marks: Marks, epoch: int) -> None:
    """Write down `marks`; a relay that has been replaced in the meantime changes nothing.

    Raises:
        StoreUnavailableError: PostgreSQL does not serve.
    """
    values = (topic, marks.low_water, list(marks.acked), list(marks.ends), epoch)
    try:
        await pool.execute(_WRITE, *values, timeout=_TIMEOUT_S)
    except ANY_DATABASE_ERROR as error:
        raise StoreUnavailableError(reason_of(error)) from error
