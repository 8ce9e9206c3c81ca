"""What a reader of the log saw and what its writers were told, in; named anomalies, out. Pure.

`checker` judges a whole system by its orders; this looks at the log alone, event by event, and is quick enough for
hundreds of thousands of them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from tests.faults.checker import Anomaly


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as a reader saw it."""

    position: int
    stream_id: UUID
    version: int
    event_id: UUID
    payload: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """What a writer was told of one command: version and position of its last event, and which events it had sent."""

    key: str
    stream_id: UUID
    version: int
    position: int
    events: tuple[tuple[UUID, bytes], ...]

    def promised(self) -> Iterator[Seen]:
        """Return what the log must hold forever."""
        before = len(self.events) - 1
        for index, (event_id, payload) in enumerate(self.events):
            back = before - index
            yield Seen(self.position - back, self.stream_id, self.version - back, event_id, payload)


def check_log(seen: Sequence[Seen], acks: Iterable[Ack]) -> list[Anomaly]:
    """Return every anomaly of a log that came to rest: all its writers were told of all they wrote."""
    return [*check_reading(seen), *_versions(seen), *_event_ids(seen), *_acknowledgements(seen, acks)]


def check_reading(seen: Iterable[Seen]) -> Iterator[Anomaly]:
    """Return what a reader missed, or saw late: positions must come as 1, 2, 3, ..."""
    last = 0
    for event in seen:
        if event.position > last + 1:
            yield Anomaly("skipped-by-reader", f"positions {last + 1} to {event.position - 1}")
        elif event.position <= last:
            yield Anomaly("reordered-log", f"position {event.position} after {last}")
        last = max(last, event.position)


def _versions(seen: Iterable[Seen]) -> Iterator[Anomaly]:
    """P4: versions 1..n per stream, in the order of positions."""
    last: Counter[UUID] = Counter()
    for event in seen:
        if event.version != last[event.stream_id] + 1:
            yield Anomaly("version-gap", f"stream {event.stream_id}: {event.version} after {last[event.stream_id]}")
        last[event.stream_id] = event.version


def _event_ids(seen: Iterable[Seen]) -> Iterator[Anomaly]:
    for event_id, count in Counter(event.event_id for event in seen).items():
        if count > 1:
            yield Anomaly("double-effect", f"event {event_id} is {count} times in the log")


def _acknowledgements(seen: Iterable[Seen], acks: Iterable[Ack]) -> Iterator[Anomaly]:
    """P1 and P2: every promise is kept to the byte, at its position, and nothing is there that was not promised."""
    log = {event.position: event for event in seen}
    promised: set[int] = set()
    keys: set[str] = set()
    for ack in acks:
        if ack.key in keys:
            yield Anomaly("double-effect", f"key {ack.key} was acknowledged twice")
        keys.add(ack.key)
        for event in ack.promised():
            promised.add(event.position)
            if log.get(event.position) != event:
                yield Anomaly("lost-ack", f"key {ack.key}: promised {event}, found {log.get(event.position)}")
    for position in log.keys() - promised:
        yield Anomaly("phantom", f"position {position} was promised to nobody")
