"""Where a run resumes: a small simulation of a topic decides whether the plan loses anything."""

from hypothesis import given
from hypothesis import strategies as st

from infra.relay.resume import EMPTY, Found, Marks, Plan, plan_run


def found(*tails: int) -> dict[int, Found]:
    return {partition: Found(tail, end=tail) for partition, tail in enumerate(tails)}


def test_an_empty_topic_is_filled_from_the_beginning() -> None:
    assert plan_run(found(0, 0), None) == Plan(start=0, held=(0, 0), purge=frozenset())


def test_each_partition_resumes_after_its_own_tail() -> None:
    assert plan_run(found(7, 9), None) == Plan(start=7, held=(7, 9), purge=frozenset())


def test_an_idle_partition_is_not_searched_for_in_history() -> None:
    marks = Marks(low_water=1000, acked=(3, 1000), ends=(3, 1000))
    assert plan_run(found(3, 1005), marks) == Plan(start=1000, held=(1000, 1005), purge=frozenset())


def test_a_partition_that_never_held_an_event_is_not_searched_for_either() -> None:
    marks = Marks(low_water=1000, acked=(0, 1000), ends=(0, 1000))
    assert plan_run(found(0, 1000), marks).start == 1000


def test_a_partition_behind_its_mark_is_filled_from_its_own_tail() -> None:
    marks = Marks(low_water=1000, acked=(900, 1000), ends=(900, 1000))
    assert plan_run(found(500, 1000), marks) == Plan(start=500, held=(500, 1000), purge=frozenset())


def test_a_recreated_topic_is_filled_from_the_beginning() -> None:
    marks = Marks(low_water=1000, acked=(900, 1000), ends=(900, 1000))
    assert plan_run(found(0, 0), marks) == Plan(start=0, held=(0, 0), purge=frozenset())


def test_a_batch_that_landed_behind_a_hole_is_purged_and_its_partition_filled_anew() -> None:
    marks = Marks(low_water=1000, acked=(900, 1000), ends=(900, 1000))
    recreated = {0: Found(tail=0, end=0), 1: Found(tail=1003, end=3)}
    assert plan_run(recreated, marks) == Plan(start=0, held=(0, 0), purge=frozenset({1}))


def test_a_partition_whose_offsets_went_back_is_purged_however_long_it_is() -> None:
    marks = Marks(low_water=1000, acked=(2, 1000), ends=(2, 1000))
    recreated = {0: Found(tail=1009, end=5), 1: Found(tail=1000, end=1000)}
    assert plan_run(recreated, marks, rewound=frozenset({0})) == Plan(0, held=(0, 1000), purge=frozenset({0}))


def test_marks_of_another_partition_count_are_ignored() -> None:
    assert plan_run(found(3, 9), Marks(low_water=1000, acked=(3,), ends=(3,))).start == 3


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
    plan = plan_run({each: Found(p[-1] if p else EMPTY, len(p)) for each, p in kept.items()}, marks)
    for position in range(plan.start + 1, len(layout) + 1):
        partition = layout[position - 1]
        if position > plan.held[partition]:
            kept[partition].append(position)

    # then every partition is whole again, in order, without a repeat
    assert kept == held_before
    assert plan.purge == frozenset()
