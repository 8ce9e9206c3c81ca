"""The log as a run reads it: only as long as it is the log whose events the topic holds.

A store that is restored from an old copy under a running relay gives positions that were sent to other events, and may
have grown past them before anybody looks. So the event before those that are read is read again each time.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from infra.event_store.protocol import EventStore, StoredEvent
from infra.kafka.tail import PartitionEnds
from infra.relay.resume import EMPTY

_REMEDY: Final = (
    "the store was restored from an old copy or is another one. Nothing is sent. Restore the right store, or have the "
    "topic filled again from this one: python -m infra.relay refill"
)


class TopicAheadOfStoreError(Exception):
    """The topic holds an event that the store does not: the store was restored from an old copy, or is another one."""


class LogReader:
    """Reads the log in order, from the position on that `start` was given; `topic` is the name in messages."""

    def __init__(self, store: EventStore, topic: str) -> None:
        self._store = store
        self._topic = topic
        self._position = EMPTY
        self._event_id: UUID | None = None

    async def compare(self, ends: Mapping[int, PartitionEnds]) -> None:
        """Check that the store holds the last event of each partition.

        Raises:
            TopicAheadOfStoreError: it does not.
            EventStoreError: it cannot be read.
        """
        for partition, each in ends.items():
            if each.last is None:
                continue
            stored = await self._at(each.last.position)
            if stored is None or stored.event_id != each.last.event_id:
                raise TopicAheadOfStoreError(
                    f"partition {partition} of {self._topic} ends with event {each.last.event_id} at position "
                    f"{each.last.position}, which the store does not hold: {_REMEDY}"
                )

    async def start(self, after_position: int) -> None:
        """Begin behind a position: the event there is the one that has to stay. Raises as `read` does."""
        self._position, self._event_id = after_position, None
        if after_position != EMPTY:
            last = await self._at(after_position)
            if last is None:
                raise self._gone()
            self._event_id = last.event_id

    async def read(self, limit: int) -> Sequence[StoredEvent]:
        """Return the next events, at most `limit`; none if there are none yet.

        Raises:
            TopicAheadOfStoreError: the event before them is no longer the one that it was.
            EventStoreError: the store cannot be read, or its log has a gap.
        """
        if self._position == EMPTY:
            events = await self._store.read_all(EMPTY, limit)
        else:
            found = await self._store.read_all(self._position - 1, limit + 1)
            if not found or (found[0].position, found[0].event_id) != (self._position, self._event_id):
                raise self._gone()
            events = found[1:]
        if events:
            self._position, self._event_id = events[-1].position, events[-1].event_id
        return events

    async def _at(self, position: int) -> StoredEvent | None:
        found = await self._store.read_all(position - 1, 1)
        return found[0] if found and found[0].position == position else None

    def _gone(self) -> TopicAheadOfStoreError:
        return TopicAheadOfStoreError(
            f"the store no longer holds the event that was sent to {self._topic} from position {self._position}: "
            f"{_REMEDY}"
        )
