"""Where a run resumes: a small simulation of a topic decides whether the plan loses anything."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.kafka.tail import PartitionEnds, Tail
from infra.relay.resume import EMPTY, Marks, Plan, plan_run


def held(tail: int, end: int) -> PartitionEnds:
    return PartitionEnds(end, Tail(tail, UUID(int=tail)) if tail else None)


def found(*tails: int) -> dict[int, PartitionEnds]:
    return {partition: held(tail, tail) for partition, tail in enumerate(tails)}


NOTED = Marks(low_water=1000, acked=(900, 1000), ends=(900, 1000))
IDLE = Marks(low_water=1000, acked=(3, 1000), ends=(3, 1000))
NOTHING: frozenset[int] = frozenset()


@pytest.mark.parametrize(
    ("partitions", "marks", "rewound", "plan"),
    [
        pytest.param(found(0, 0), None, NOTHING, Plan(0, (0, 0), NOTHING), id="an empty topic is filled"),
        pytest.param(found(7, 9), None, NOTHING, Plan(7, (7, 9), NOTHING), id="each resumes after its own tail"),
        pytest.param(
            found(3, 1005), IDLE, NOTHING, Plan(1000, (1000, 1005), NOTHING), id="an idle one is not searched for"
        ),
        pytest.param(
            found(0, 1000),
            Marks(low_water=1000, acked=(0, 1000), ends=(0, 1000)),
            NOTHING,
            Plan(1000, (1000, 1000), NOTHING),
            id="nor one that never held an event",
        ),
        pytest.param(
            found(500, 1000), NOTED, NOTHING, Plan(500, (500, 1000), NOTHING), id="one behind its mark is filled"
        ),
        pytest.param(found(0, 0), NOTED, NOTHING, Plan(0, (0, 0), NOTHING), id="a recreated topic is filled"),
        pytest.param(
            {0: held(0, 0), 1: held(1003, 3)},
            NOTED,
            NOTHING,
            Plan(0, (0, 0), frozenset({1})),
            id="a batch that landed behind a hole is purged",
        ),
        pytest.param(
            {0: held(1009, 5), 1: held(1000, 1000)},
            Marks(low_water=1000, acked=(2, 1000), ends=(2, 1000)),
            frozenset({0}),
            Plan(0, (0, 1000), frozenset({0})),
            id="one whose offsets went back is purged however long it is",
        ),
        pytest.param(
            found(3, 9),
            Marks(low_water=1000, acked=(3,), ends=(3,)),
            NOTHING,
            Plan(3, (3, 9), NOTHING),
            id="marks of another partition count are ignored",
        ),
    ],
)
def test_a_run_resumes_where_nothing_is_missing(
    partitions: dict[int, PartitionEnds], marks: Marks | None, rewound: frozenset[int], plan: Plan
) -> None:
    assert plan_run(partitions, marks, rewound) == plan


@given(
    layout=st.lists(st.integers(0, 3), max_size=60),
    noted_at=st.integers(0, 60),
    tail_cut=st.lists(st.integers(0, 60), min_size=4, max_size=4),
)
def test_whatever_was_cut_off_the_plan_refills_it_and_skips_only_what_is_there(
    layout: list[int], noted_at: int, tail_cut: list[int]
) -> None:
    # given a log whose event at position i belongs to partition layout[i - 1], noted down at some point, then cut
    held_before: dict[int, list[int]] = {partition: [] for partition in range(4)}
    for position, partition in enumerate(layout, start=1):
        held_before[partition].append(position)
    low_water = min(noted_at, len(layout))
    noted = [[position for position in held_before[each] if position <= low_water] for each in range(4)]
    marks = Marks(low_water, tuple(each[-1] if each else EMPTY for each in noted), tuple(len(each) for each in noted))
    kept = {each: held_before[each][: max(0, len(held_before[each]) - tail_cut[each])] for each in range(4)}

    # when a run follows the plan
    plan = plan_run({each: held(p[-1] if p else EMPTY, len(p)) for each, p in kept.items()}, marks)
    for position in range(plan.start + 1, len(layout) + 1):
        partition = layout[position - 1]
        if position > plan.held[partition]:
            kept[partition].append(position)

    # then every partition is whole again, in order, without a repeat
    assert kept == held_before
    assert plan.purge == frozenset()
