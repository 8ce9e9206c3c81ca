"""Stored events of the library become commands of `harbor.append_batch`: all in one transaction, or none.

The library inserts any number of events of any number of aggregates and expects the log to keep their order.
Consecutive events of one aggregate are one command. A batch may hold a stream once, so an aggregate that comes back
starts the next batch. The log stays locked from the first batch to the commit, so the positions are contiguous.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias
from uuid import UUID

from eventsourcing.persistence import IntegrityError, OperationalError, ProgrammingError
from eventsourcing.persistence import StoredEvent as LibraryEvent

from infra import clock
from infra.event_store.append_batch import append_batch
from infra.event_store.protocol import AppendCommand, Appended, AppendOutcome, Duplicate, NewEvent, WrongExpectedVersion
from infra.eventsourcing_module import origin
from infra.postgres.connection import Connection

_SCHEMA_VERSION = 1
_STATUS = 200

Batches: TypeAlias = list[list[AppendCommand]]
"""What one `insert_events` sends, however often: after a lost outcome the keys show what was written."""

_STREAM_TYPES = """
SELECT stream_id, type FROM harbor.streams WHERE stream_id = ANY($1::uuid[]) AND tenant_id = $2
"""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive events of one aggregate; `first_version` is the library's, and each next is one more."""

    stream_id: UUID
    first_version: int
    events: tuple[LibraryEvent, ...]


def runs(stored_events: Sequence[LibraryEvent]) -> list[Run]:
    """Return the events in their order, consecutive ones of one aggregate as one run.

    Raises:
        IntegrityError: versions do not follow one another, or are negative.
        DataError: an originator id is not a UUID.
    """
    found: list[Run] = []
    for originator_id, group in groupby(stored_events, key=lambda event: origin.stream_id(event.originator_id)):
        events = tuple(group)
        first = events[0].originator_version
        if first < 0 or any(event.originator_version != version for version, event in enumerate(events, first)):
            raise IntegrityError(f"versions of {originator_id} do not follow one another from {first}")
        found.append(Run(originator_id, first, events))
    return found


async def prepare(connection: Connection, tenant_id: str | None, stored_events: Sequence[LibraryEvent]) -> Batches:
    """Return what to send. Reads the types of the streams; writes nothing.

    Raises:
        IntegrityError, DataError: see `runs`.
        ProgrammingError: there is no tenant to write for, or a stream belongs to a service.
    """
    if tenant_id is None:
        raise ProgrammingError("without HARBOR_TENANT the log of all tenants is read, and nothing can be written")
    split = runs(stored_events)
    types = await _stream_types(connection, tenant_id, split)
    batches: list[dict[UUID, AppendCommand]] = []
    for run in split:
        if not batches or run.stream_id in batches[-1]:
            batches.append({})
        batches[-1][run.stream_id] = _command(run, tenant_id, types[run.stream_id])
    return [list(batch.values()) for batch in batches]


async def send(connection: Connection, batches: Batches) -> list[int]:
    """Append everything and return each event's position; if this raises, the caller's transaction must not commit.

    Sent again after a lost outcome, it finds its keys and returns the same positions.

    Raises:
        IntegrityError: somebody else appended first.
    """
    positions: list[int] = []
    for commands in batches:
        outcomes = await append_batch(connection, commands)
        for command, outcome in zip(commands, outcomes, strict=True):
            last = _last_position(command, outcome)
            positions += range(last - len(command.events) + 1, last + 1)
    return positions


async def _stream_types(connection: Connection, tenant_id: str, split: Sequence[Run]) -> dict[UUID, str]:
    firsts = {run.stream_id: run.first_version for run in reversed(split)}  # the first run of a stream wins
    types = {stream_id: origin.FROM_ONE if first else origin.FROM_ZERO for stream_id, first in firsts.items()}
    continued = [stream_id for stream_id, first in firsts.items() if first > 0]
    if continued:
        rows = await connection.fetch(_STREAM_TYPES, continued, tenant_id)
        for row in rows:
            origin.assert_ours(row["stream_id"], row["type"])
            types[row["stream_id"]] = row["type"]
        for stream_id in set(continued) - {row["stream_id"] for row in rows}:
            if firsts[stream_id] > 1:  # not left to the append: a service might begin this stream at this moment
                raise IntegrityError(f"stream {stream_id} has no events before version {firsts[stream_id]}")
    return types


def _last_position(command: AppendCommand, outcome: AppendOutcome) -> int:
    match outcome:
        case Appended() | Duplicate():
            return outcome.position
        case WrongExpectedVersion():
            raise IntegrityError(
                f"stream {command.stream_id} has {outcome.actual_version} events, not {command.expected_version}"
            )
        case _:
            raise OperationalError(f"unexpected outcome of a command: {outcome}")


def _command(run: Run, tenant_id: str, stream_type: str) -> AppendCommand:
    digest = hashlib.sha256(run.stream_id.bytes)
    for event in run.events:
        digest.update(hashlib.sha256(event.state).digest())
    return AppendCommand(
        tenant_id=tenant_id,
        key=f"eventsourcing:{clock.new_id()}",
        fingerprint=digest.digest(),
        stream_id=run.stream_id,
        stream_type=stream_type,
        # The library counts from 0 or 1, we from 1: this many events come before the first.
        expected_version=run.first_version - 1 + origin.offset(stream_type),
        events=tuple(_new_event(event) for event in run.events),
        status=_STATUS,
        response=b"",
    )


def _new_event(event: LibraryEvent) -> NewEvent:
    return NewEvent(
        event_id=clock.new_id(),
        type=event.topic,
        schema_version=_SCHEMA_VERSION,
        occurred_at=clock.now(),
        payload=event.state,
        actor=origin.ACTOR,
    )
