"""Snapshots of aggregates: not facts, so they have a table of their own beside the log and may skip versions."""

from collections.abc import Sequence
from uuid import UUID

from eventsourcing.persistence import AggregateRecorder, ProgrammingError, StoredEvent

from infra.eventsourcing_module import origin
from infra.eventsourcing_module.database import Database
from infra.eventsourcing_module.reading import stored_event
from infra.postgres.connection import Connection

_INSERT = """
INSERT INTO harbor.eventsourcing_snapshots (tenant_id, stream_id, version, topic, state)
SELECT $1, s.stream_id, s.version, s.topic, s.state
FROM unnest($2::uuid[], $3::integer[], $4::text[], $5::bytea[]) AS s (stream_id, version, topic, state)
"""
_SELECT = """
SELECT stream_id, version, topic AS type, state AS payload FROM harbor.eventsourcing_snapshots
WHERE stream_id = $1 AND tenant_id = $2
  AND ($3::integer IS NULL OR version > $3) AND ($4::integer IS NULL OR version <= $4)
"""
_FORWARDS = f"{_SELECT} ORDER BY version LIMIT $5"
_BACKWARDS = f"{_SELECT} ORDER BY version DESC LIMIT $5"


class HarborSnapshotRecorder(AggregateRecorder):
    """The library's aggregate recorder for snapshots; needs a tenant."""

    def __init__(self, database: Database) -> None:
        if database.settings.tenant_id is None:
            raise ProgrammingError("snapshots need HARBOR_TENANT")
        self._database = database
        self._tenant_id = database.settings.tenant_id

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: object) -> None:
        """Store snapshots, all or none.

        Raises:
            IntegrityError: there is one of that version.
        """
        columns = (
            [origin.stream_id(event.originator_id) for event in stored_events],
            [event.originator_version for event in stored_events],
            [event.topic for event in stored_events],
            [event.state for event in stored_events],
        )

        async def work(connection: Connection) -> None:
            await connection.execute(_INSERT, self._tenant_id, *columns)

        self._database.run(work, is_repeatable=False)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        """Return the snapshots of one aggregate with versions above `gt` and at most `lte`."""
        stream_id = origin.stream_id(originator_id)

        async def work(connection: Connection) -> list[StoredEvent]:
            rows = await connection.fetch(_BACKWARDS if desc else _FORWARDS, stream_id, self._tenant_id, gt, lte, limit)
            return [stored_event(row) for row in rows]

        return self._database.run(work)
