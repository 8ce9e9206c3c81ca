"""Whose stream it is, and where its versions start. Ours start at 1; the library's start wherever an aggregate says.

A stream that the library starts at 0 is stored one version higher, and its type says so. The type of a stream never
changes, so it may be read in one statement and relied on in the next.
"""

from uuid import UUID

from eventsourcing.persistence import DataError, ProgrammingError

FROM_ONE = "eventsourcing"
FROM_ZERO = "eventsourcing.from_0"
ACTOR = "eventsourcing"

ZERO = f"(s.type = '{FROM_ZERO}')::integer"
"""SQL: how much lower the library counts than we do, of a row `s` of harbor.streams."""


def offset(stream_type: str) -> int:
    """Return what to add to the library's version of an event to have ours."""
    return 1 if stream_type == FROM_ZERO else 0


def stream_id(originator_id: UUID | str) -> UUID:
    """Return the stream's id.

    Raises:
        DataError: it is a text; our ids are UUIDs.
    """
    if isinstance(originator_id, UUID):
        return originator_id
    raise DataError("an originator_id must be a UUID")


def plain(found: UUID) -> UUID:
    """Return an id as a plain UUID: asyncpg has a subclass of its own, which transcoders do not know."""
    return UUID(int=found.int)


def assert_ours(originator_id: UUID, stream_type: str) -> None:
    """Refuse to append to a stream of a service, whose fold would meet an event it does not know.

    Raises:
        ProgrammingError: it is such a stream.
    """
    if stream_type not in {FROM_ONE, FROM_ZERO}:
        raise ProgrammingError(f"stream {originator_id} is of type {stream_type!r}: only its own service appends to it")
