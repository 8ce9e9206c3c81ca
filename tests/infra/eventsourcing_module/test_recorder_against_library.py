"""Whatever is inserted, our recorder behaves as the library's in-memory recorder does.

Gaps in an aggregate's versions are left out: the library's recorders accept them, ours refuses them (decision 0029).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from eventsourcing.persistence import ApplicationRecorder, IntegrityError, StoredEvent
from eventsourcing.popo import POPOApplicationRecorder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.event_store.library_cases import a_factory, module_environment
from tests.support.services.servers import Database


@dataclass(frozen=True, slots=True)
class Turn:
    """One event to insert: the next of an aggregate, or one that it has already."""

    aggregate: int
    is_repeated: bool
    topic: str


turns = st.builds(
    Turn,
    aggregate=st.integers(0, 2),
    is_repeated=st.integers(0, 9).map(lambda number: number == 0),
    topic=st.sampled_from(["left", "right"]),
)
insertions = st.lists(st.lists(turns, max_size=6), max_size=8)
bounds = st.none() | st.integers(-1, 8)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(insertions=insertions, first=st.integers(0, 1), gt=bounds, lte=bounds, desc=st.booleans(), limit=bounds)
def test_it_behaves_like_the_library_in_memory(
    database: Database,
    insertions: list[list[Turn]],
    first: int,
    gt: int | None,
    lte: int | None,
    desc: bool,
    limit: int | None,
) -> None:
    factory = a_factory(module_environment(database.command_url, tenant_id=f"{uuid4()}.test"))
    ours, theirs = factory.application_recorder(), POPOApplicationRecorder()
    aggregates = [uuid4() for _ in range(3)]
    ids: list[int] = []

    for insertion in insertions:
        events = events_of(insertion, aggregates, first, theirs)
        results = [inserted(recorder, events) for recorder in (ours, theirs)]
        assert (results[0] is None) == (results[1] is None)
        ids += results[0] or []

    limit = None if limit is None or limit < 1 else limit
    for aggregate in aggregates:
        assert ours.select_events(aggregate, gt=gt, lte=lte, desc=desc, limit=limit) == list(
            theirs.select_events(aggregate, gt=gt, lte=lte, desc=desc, limit=limit)
        )
    assert ids == sorted(ids)
    for topics in ([], ["left"], ["left", "right"]):
        expected = theirs.select_notifications(None, 100, topics=topics)
        found = ours.select_notifications(None, 100, topics=topics)
        assert [(ids.index(each.id) + 1, stored(each)) for each in found] == [
            (each.id, stored(each)) for each in expected
        ]
    factory.close()


def inserted(recorder: ApplicationRecorder, events: Sequence[StoredEvent]) -> Sequence[int] | None:
    """Return the ids of the new notifications; None when the recorder refuses."""
    try:
        return recorder.insert_events(events)
    except IntegrityError:
        return None


def events_of(
    insertion: Sequence[Turn], aggregates: Sequence[UUID], first: int, recorder: ApplicationRecorder
) -> list[StoredEvent]:
    """Return the events that a list of turns stands for, after what the recorder holds."""
    held = Counter({number: len(recorder.select_events(each)) for number, each in enumerate(aggregates)})
    events: list[StoredEvent] = []
    for turn in insertion:
        if not (turn.is_repeated and held[turn.aggregate]):
            held[turn.aggregate] += 1
        version = first + held[turn.aggregate] - 1
        events.append(StoredEvent(aggregates[turn.aggregate], version, turn.topic, b"%d" % len(events)))
    return events


def stored(event: StoredEvent) -> tuple[UUID | str, int, str, bytes]:
    return event.originator_id, event.originator_version, event.topic, event.state
