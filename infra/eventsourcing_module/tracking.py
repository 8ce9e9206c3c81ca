"""How far a consumer has come, written in the transaction that writes what it derived: each event counts once."""

from collections.abc import Awaitable, Callable

from eventsourcing.persistence import IntegrityError, Tracking, TrackingRecorder

from infra.eventsourcing_module.database import Database
from infra.postgres.connection import Connection

_MOVE = """
INSERT INTO harbor.eventsourcing_tracking AS t (tenant_id, consumer, application, position) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, consumer, application) DO UPDATE SET position = excluded.position
WHERE t.position < excluded.position
RETURNING position
"""

_POSITION = """
SELECT position FROM harbor.eventsourcing_tracking WHERE tenant_id = $1 AND consumer = $2 AND application = $3
"""
_ALL_TENANTS = ""


async def insert_tracking(connection: Connection, database: Database, tracking: Tracking) -> None:
    """Move the consumer of `database` forward inside the caller's transaction.

    Raises:
        IntegrityError: it is there or further already; the caller's transaction must not commit.
    """
    tenant_id = database.settings.tenant_id or _ALL_TENANTS
    name, position = tracking.application_name, tracking.notification_id
    if await connection.fetchval(_MOVE, tenant_id, database.settings.consumer, name, position) is None:
        raise IntegrityError(f"{database.settings.consumer!r} has processed {position} of {name!r} before")


class HarborTrackingRecorder(TrackingRecorder):
    """The library's tracking recorder. A materialised view subclasses it and writes its tables through `record`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def insert_tracking(self, tracking: Tracking) -> None:
        """Record that a notification was processed.

        Raises:
            IntegrityError: that one, or a later one, was recorded before.
        """
        self.record(tracking)

    def record(self, tracking: Tracking, write: Callable[[Connection], Awaitable[None]] | None = None) -> None:
        """Record that a notification was processed and what was derived from it, both or neither.

        `write` runs a view's own statements; `database.run` reads them back. When PostgreSQL is lost meanwhile, ask
        `max_tracking_id` whether it was recorded.

        Raises:
            IntegrityError: that notification, or a later one, was recorded before; nothing was written.
        """

        async def work(connection: Connection) -> None:
            async with connection.transaction():
                await insert_tracking(connection, self.database, tracking)
                if write is not None:
                    await write(connection)

        self.database.run(work, is_repeatable=False)

    def max_tracking_id(self, application_name: str) -> int | None:
        """Return the last processed notification of an application; None when there was none."""
        database = self.database

        async def work(connection: Connection) -> int | None:
            position: int | None = await connection.fetchval(
                _POSITION, database.settings.tenant_id or _ALL_TENANTS, database.settings.consumer, application_name
            )
            return position

        return database.run(work)
