"""Where a run resumes: a small simulation of a topic decides whether the plan loses anything."""

from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.kafka.chain import Chain, Span
from infra.kafka.tail import PartitionEnds, Tail
from infra.relay.resume import EMPTY, Marks, Plan, plan_run, spans_to_follow


def held(tail: int, end: int, *, begin: int = 0, before: int = 0) -> PartitionEnds:
    return PartitionEnds(begin, end, before, Tail(tail, UUID(int=tail)) if tail else None)


def found(*tails: int) -> dict[int, PartitionEnds]:
    return {partition: held(tail, tail) for partition, tail in enumerate(tails)}


NOTED = Marks(low_water=1000, acked=(900, 1000), ends=(900, 1000))
IDLE = Marks(low_water=1000, acked=(3, 1000), ends=(3, 1000))
NOTHING: frozenset[int] = frozenset()


@pytest.mark.parametrize(
    ("partitions", "marks", "broken", "plan"),
    [
        pytest.param(found(0, 0), None, NOTHING, Plan(0, (0, 0)), id="an empty topic is filled"),
        pytest.param(found(7, 9), None, NOTHING, Plan(7, (7, 9), whole_at=9), id="each resumes after its own tail"),
        pytest.param(
            found(3, 1005), IDLE, NOTHING, Plan(1000, (1000, 1005), whole_at=1005), id="an idle one is not searched for"
        ),
        pytest.param(
            found(0, 1000),
            Marks(low_water=1000, acked=(0, 1000), ends=(0, 1000)),
            NOTHING,
            Plan(1000, (1000, 1000), whole_at=1000),
            id="nor one that never held an event",
        ),
        pytest.param(
            found(500, 1000),
            NOTED,
            NOTHING,
            Plan(500, (500, 1000), cut=frozenset({0}), whole_at=1000),
            id="one behind its mark is filled",
        ),
        pytest.param(
            found(0, 0),
            NOTED,
            NOTHING,
            Plan(0, (0, 0), cut=frozenset({0, 1}), whole_at=1000),
            id="a recreated topic is filled",
        ),
        pytest.param(
            {0: held(0, 900, begin=900), 1: held(1000, 1000)},
            NOTED,
            NOTHING,
            Plan(0, (0, 1000), cut=frozenset({0}), whole_at=1000),
            id="so is one whose records were all deleted",
        ),
        pytest.param(
            {0: held(899, 904), 1: held(1000, 1000)},
            NOTED,
            NOTHING,
            Plan(899, (899, 1000), whole_at=1000),
            id="a repeat at the end of one is no loss",
        ),
        pytest.param(
            {0: held(1001, 901, begin=900, before=900), 1: held(1000, 1000)},
            NOTED,
            NOTHING,
            Plan(0, (0, 1000), purge=frozenset({0}), whole_at=1001),
            id="one that has lost its beginning is purged and filled",
        ),
        pytest.param(
            {0: held(1009, 5), 1: held(1000, 1000)},
            Marks(low_water=1000, acked=(2, 1000), ends=(2, 1000)),
            frozenset({0}),
            Plan(0, (0, 1000), purge=frozenset({0}), whole_at=1009),
            id="one with a hole is purged however long it is",
        ),
        pytest.param(
            found(3, 9),
            Marks(low_water=1000, acked=(3,), ends=(3,)),
            NOTHING,
            Plan(3, (3, 9), whole_at=9),
            id="marks of another partition count are ignored",
        ),
    ],
)
def test_a_run_resumes_where_nothing_is_missing(
    partitions: dict[int, PartitionEnds], marks: Marks | None, broken: frozenset[int], plan: Plan
) -> None:
    assert plan_run(partitions, marks, broken) == plan


@pytest.mark.parametrize(
    ("partition", "span"),
    [
        pytest.param(held(900, 900), None, id="nothing came after the marks"),
        pytest.param(held(990, 930), Span(899, 930, reached=900, vouched=900), id="what came after the marks"),
        pytest.param(held(870, 880), Span(0, 880), id="all of one that became shorter"),
        pytest.param(held(905, 900), Span(0, 900), id="all of one that grew again to the same length"),
        pytest.param(held(30, 930, begin=900), Span(900, 930), id="all of one that was purged"),
        pytest.param(held(905, 905, begin=880, before=870), None, id="not one whose beginning is gone anyway"),
        pytest.param(held(0, 0), None, id="nor an empty one"),
    ],
)
def test_a_run_follows_what_the_marks_do_not_vouch_for(partition: PartitionEnds, span: Span | None) -> None:
    assert spans_to_follow({0: partition, 1: held(1000, 1000)}, NOTED).get(0) == span


def test_without_marks_and_with_doubted_ones_everything_is_followed() -> None:
    everything = {0: Span(0, 900), 1: Span(0, 1000)}
    assert spans_to_follow(found(900, 1000), None) == spans_to_follow(found(900, 1000), NOTED.doubted()) == everything


COUNT = 2
LAYOUT = st.lists(st.integers(0, COUNT - 1), min_size=4, max_size=30)
FEW = st.one_of(st.integers(0, 4), st.just(100))


@dataclass(frozen=True, slots=True)
class Written:
    """One record of the simulated topic."""

    position: int
    previous: int


@dataclass(slots=True)
class Partition:
    """A partition as a broker keeps it: records from offset `begin` on."""

    begin: int = 0
    records: list[Written] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.begin + len(self.records)

    def append(self, positions: list[int], reached: int) -> None:
        """Send positions; `reached` is the one that the sender believes to be there."""
        for position in positions:
            self.records.append(Written(position, reached))
            reached = position

    def delete_before(self, offset: int) -> None:
        gone = min(max(0, offset - self.begin), len(self.records))
        self.begin, self.records = self.begin + gone, self.records[gone:]

    def truncate(self, offset: int) -> None:
        self.records = self.records[: max(0, offset - self.begin)]

    def ends(self) -> PartitionEnds:
        if not self.records:
            return PartitionEnds(self.begin, self.end, EMPTY, None)
        last = self.records[-1].position
        return PartitionEnds(self.begin, self.end, self.records[0].previous, Tail(last, UUID(int=last)))

    def is_broken(self, span: Span) -> bool:
        chain = Chain.of(span)
        for offset, record in enumerate(self.records, start=self.begin):
            if span.start <= offset < span.end:
                chain.add(offset, record.position, record.previous)
        return chain.is_broken

    def first_sightings(self) -> list[int]:
        kept: list[int] = []
        for record in self.records:
            if not kept or record.position > kept[-1]:
                kept.append(record.position)
        return kept


@given(data=st.data(), layout=LAYOUT, noted=st.sampled_from(["marks", "doubted marks", "nothing"]))
@settings(max_examples=max(500, settings().max_examples))
def test_whatever_was_cut_off_anywhere_while_events_were_sent_the_plan_makes_every_partition_whole(
    data: st.DataObject, layout: list[int], noted: str
) -> None:
    # given a log whose event at position i belongs to partition layout[i - 1], published and noted down up to somewhere
    sent_to = data.draw(st.integers(0, len(layout)), label="sent to")
    noted_at = max(0, sent_to - data.draw(FEW, label="sent since the marks"))
    topic = [Partition() for _ in range(COUNT)]
    events = [[at for at, each in enumerate(layout, start=1) if each == partition] for partition in range(COUNT)]
    acked, ends = [], []
    for partition, of_partition in zip(topic, events, strict=True):
        before = [at for at in of_partition if at <= noted_at]
        partition.append(before, EMPTY)
        acked.append(max(before, default=EMPTY))
        ends.append(partition.end)
        partition.append([at for at in of_partition if noted_at < at <= sent_to], acked[-1])
    marks = Marks(noted_at, tuple(acked), tuple(ends))
    # and records lost at the end, or all with the topic, while a batch was under way, or deleted from the beginning
    under_way = min(len(layout), sent_to + data.draw(FEW, label="under way"))
    for partition, of_partition in zip(topic, events, strict=True):
        reached = max((at for at in of_partition if at <= sent_to), default=EMPTY)
        partition.truncate(partition.end - data.draw(FEW, label="lost at the end"))
        partition.append([at for at in of_partition if sent_to < at <= under_way], reached)
        if data.draw(st.booleans(), label="deleted"):
            partition.delete_before(data.draw(st.integers(0, partition.end), label="before"))

    # when a run follows the plan
    known = {"marks": marks, "doubted marks": marks.doubted(), "nothing": None}[noted]
    found_ends = {each: partition.ends() for each, partition in enumerate(topic)}
    spans = spans_to_follow(found_ends, known)
    broken = frozenset(each for each, span in spans.items() if topic[each].is_broken(span))
    plan = plan_run(found_ends, known, broken)
    for each in plan.purge:
        topic[each].delete_before(topic[each].end)
    reached_in = [EMPTY if each in plan.purge else found_ends[each].tail for each in range(COUNT)]
    for position in range(plan.start + 1, len(layout) + 1):
        each = layout[position - 1]
        if position > plan.held[each]:
            topic[each].append([position], reached_in[each])
            reached_in[each] = position

    # then a consumer that keeps positions sees every event once, in order, and each record names the one before
    assert [partition.first_sightings() for partition in topic] == events
    assert not any(partition.is_broken(Span(partition.begin, partition.end)) for partition in topic)
    # and what was whole before was left alone, without a repeat
    for each, partition in enumerate(topic):
        if each not in plan.purge:
            assert [record.position for record in partition.records] == events[each]
