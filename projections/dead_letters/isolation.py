"""Find the record that is to blame: halve the batch until one is left, park its order, apply the rest."""

from collections.abc import Sequence
from uuid import UUID

from infra.postgres.connection import Connection
from projections.dead_letters.store import ParkedEvent, parked_behind, parked_event, poison_orders
from projections.failures import TooMuchPoisonError, describe, is_poison
from projections.projection import LogRecord, Projection


async def apply_or_park(
    connection: Connection, projection: Projection, records: Sequence[LogRecord], most: int | None = None
) -> list[ParkedEvent]:
    """Apply every record that can be applied, and return those that cannot or that follow one of the same order.

    Run in the caller's transaction, with a savepoint for each attempt, so that a failed half leaves nothing behind.

    Raises:
        TooMuchPoisonError: more than `most` orders (None: no limit) would be parked within an hour.
        Exception: a failure that is no record's fault (see `failures.is_poison`); nothing was decided.
    """
    parked: list[ParkedEvent] = []
    room = None if most is None else most - await poison_orders(connection, projection)
    blocked: set[UUID] = set()

    async def attempt(part: Sequence[LogRecord]) -> None:
        # The left half may have blocked orders of the right half.
        free = [record for record in part if record.order_id not in blocked]
        parked.extend(parked_behind(record) for record in part if record.order_id in blocked)
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
            parked.append(parked_event(free[0], error))

    await attempt(records)
    return parked


async def _try(connection: Connection, projection: Projection, records: Sequence[LogRecord]) -> Exception | None:
    try:
        async with connection.transaction():
            await projection.apply(connection, records)
    except Exception as error:
        if not is_poison(error):
            raise
        return error
    return None
