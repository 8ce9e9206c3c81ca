"""The library's recorders over our log: streams (aggregate), the log (application), and both with tracking (process).

The inheritance is the library's: a process recorder must be an application recorder and a tracking recorder, and each
of these an aggregate recorder or none.
"""

from collections.abc import Sequence
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    Notification,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Tracking,
)

from infra.eventsourcing_module import appending, origin, reading
from infra.eventsourcing_module.database import Database
from infra.eventsourcing_module.subscription import LogSubscription
from infra.eventsourcing_module.tracking import HarborTrackingRecorder, insert_tracking
from infra.postgres.connection import Connection


class HarborAggregateRecorder(AggregateRecorder):
    """Streams by their ids."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def insert_events(
        self, stored_events: Sequence[StoredEvent], tracking: Tracking | None = None, **_: object
    ) -> Sequence[int] | None:
        """Append events, all or none; returns nothing.

        Raises:
            IntegrityError: somebody else appended first, or versions do not follow one another.
            ProgrammingError: nothing may be written here: there is no tenant, the stream is a service's, the login may
                only read, or there is tracking to keep, which only a process recorder does.
        """
        _refuse_tracking(tracking)
        insert(self.database, stored_events)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        """Return the events of one stream with versions above `gt` and at most `lte`, ascending unless `desc`."""
        stream_id, tenant_id = origin.stream_id(originator_id), self.database.settings.tenant_id
        return self.database.run(
            lambda connection: reading.read_stream(
                connection, tenant_id, stream_id, gt=gt, lte=lte, desc=desc, limit=limit
            )
        )


class HarborApplicationRecorder(HarborAggregateRecorder, ApplicationRecorder):
    """Streams and the log. Notification ids are 1, 2, 3, ...; with a tenant, those of its events among them."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], tracking: Tracking | None = None, **_: object
    ) -> Sequence[int] | None:
        """Append events, all or none, and return their notification ids; see `HarborAggregateRecorder`."""
        _refuse_tracking(tracking)
        return insert(self.database, stored_events)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        """Return at most `limit` notifications from `start` (or after it) to `stop`, of some topics or of all.

        A rare topic may be far away: the search ends with the log or, with an OperationalError, at the deadline of a
        call. A subscription has no such end.
        """
        after = 0 if start is None else max(0, start - 1 if inclusive_of_start else start)
        found: list[Notification] = []

        async def work(connection: Connection) -> list[Notification]:
            found.clear()
            scanned_to, is_last = after, False
            while not is_last and len(found) < limit:
                page = await reading.read_page(
                    connection,
                    self.database.settings.tenant_id,
                    after=scanned_to,
                    upto=stop,
                    topics=topics,
                    limit=limit - len(found),
                )
                found.extend(page.notifications)
                scanned_to, is_last = page.scanned_to, page.is_last
            return found

        return self.database.run(work)

    def max_notification_id(self) -> int | None:
        """Return the last notification's id; None while there is none."""
        tenant_id = self.database.settings.tenant_id
        return self.database.run(lambda connection: reading.last_position(connection, tenant_id))

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> LogSubscription:
        """Return an endless iterator over notifications with ids above `gt`; `stop` ends it."""
        return LogSubscription(self, self.database, gt=gt, topics=topics)


class HarborProcessRecorder(HarborTrackingRecorder, HarborApplicationRecorder, ProcessRecorder):
    """Streams, the log, and how far the application has come in reading another."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], tracking: Tracking | None = None, **_: object
    ) -> Sequence[int] | None:
        """Append events and move the tracking, all or none; see `HarborAggregateRecorder`."""
        return insert(self.database, stored_events, tracking)


def insert(database: Database, stored_events: Sequence[StoredEvent], tracking: Tracking | None = None) -> list[int]:
    """Append events and move the tracking, all or none, and return the events' positions.

    After a lost outcome the same commands are sent again, and their keys show what was written. With tracking this is
    left to the caller, who asks `max_tracking_id`.
    """
    batches: appending.Batches = []

    async def work(connection: Connection) -> list[int]:
        if stored_events and not batches:
            batches.extend(await appending.prepare(connection, database.settings.tenant_id, stored_events))
        if tracking is None and [len(batch) for batch in batches] == [1]:  # the call is a transaction by itself
            return await appending.send(connection, batches)
        async with connection.transaction():
            if tracking is not None:  # first: the log is locked from the append to the commit
                await insert_tracking(connection, database, tracking)
            return await appending.send(connection, batches)

    if not stored_events and tracking is None:
        return []
    return database.run(work, is_repeatable=tracking is None)


def _refuse_tracking(tracking: Tracking | None) -> None:
    if tracking is not None:
        raise ProgrammingError("only a process recorder keeps tracking")
