"""Finding the record that is to blame: halve the batch until one is left, park its order, let the rest flow."""

from collections.abc import Sequence
from uuid import UUID

from infra.postgres.connection import Connection
from projections.dead_letters.store import ParkedEvent, letter_behind, letter_for, poison_orders
from projections.failures import TooMuchPoisonError, describe, is_poison
from projections.read_models.projection import LogRecord, Projection


async def apply_or_park(
    connection: Connection, projection: Projection, records: Sequence[LogRecord], most: int | None = None
) -> list[ParkedEvent]:
    """Apply every record that can be applied and give a letter for each that cannot, or stands behind one.

    Runs in the caller's transaction; each attempt in a savepoint of its own, so a failed half leaves nothing behind.

    Raises:
        TooMuchPoisonError: with these letters more than `most` orders (None: any) would be parked within an hour.
        Exception: a failure that is no record's fault (`failures.is_poison` says no); nothing was decided.
    """
    letters: list[ParkedEvent] = []
    room = None if most is None else most - await poison_orders(connection, projection)
    blocked: set[UUID] = set()

    async def attempt(part: Sequence[LogRecord]) -> None:
        # The left half may have blocked orders of the right half.
        free = [record for record in part if record.order_id not in blocked]
        letters.extend(letter_behind(record) for record in part if record.order_id in blocked)
        error = await _try(connection, projection, free) if free else None
        if error is None:
            return
        if len(free) > 1:
            middle = len(free) // 2
            await attempt(free[:middle])
            await attempt(free[middle:])
        elif most is not None and room is not None and len(blocked) >= room:
            raise TooMuchPoisonError(projection.name, most, describe(error))
        else:
            blocked.add(free[0].order_id)
            letters.append(letter_for(free[0], error))

    await attempt(records)
    return letters


async def _try(connection: Connection, projection: Projection, records: Sequence[LogRecord]) -> Exception | None:
    try:
        async with connection.transaction():
            await projection.apply(connection, records)
    except Exception as error:
        if not is_poison(error):
            raise
        return error
    return None
