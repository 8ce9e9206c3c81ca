"""Who gets the slots: no endpoint holds more than a tenth while another waits."""

from hypothesis import given
from hypothesis import strategies as st

from projections.webhooks.fairness import share_slots


def test_an_endpoint_alone_gets_its_own_bound() -> None:
    assert share_slots(["a"], {}, slots=100, per_endpoint=50) == {"a": 50}


def test_an_endpoint_with_company_gets_a_tenth() -> None:
    assert share_slots(["a", "b"], {}, slots=100, per_endpoint=50) == {"a": 10, "b": 10}


def test_a_dead_endpoint_that_holds_its_tenth_gets_nothing_more() -> None:
    assert share_slots(["dead", "b"], {"dead": 10}, slots=100, per_endpoint=50) == {"b": 10}


def test_an_endpoint_gets_at_least_one_slot_however_few_there_are() -> None:
    assert share_slots(["a", "b"], {}, slots=4, per_endpoint=10) == {"a": 1, "b": 1}


def test_those_who_wait_longest_are_served_when_there_are_more_than_slots() -> None:
    assert share_slots(["a", "b", "c"], {"x": 8}, slots=10, per_endpoint=10) == {"a": 1, "b": 1}


@given(
    waiting=st.lists(st.integers(0, 30), unique=True, max_size=20),
    held=st.dictionaries(st.integers(0, 30), st.integers(1, 10), max_size=10),
    slots=st.integers(1, 200),
    per_endpoint=st.integers(1, 50),
)
def test_no_bound_is_ever_exceeded_and_no_slot_is_kept_back(
    waiting: list[int], held: dict[int, int], slots: int, per_endpoint: int
) -> None:
    shares = share_slots(waiting, held, slots=slots, per_endpoint=per_endpoint)
    total = sum(held.values()) + sum(shares.values())
    assert all(count > 0 and key in waiting for key, count in shares.items())
    assert not shares or total <= slots
    crowded = len(set(waiting) | set(held)) > 1
    bound = min(per_endpoint, max(1, slots // 10)) if crowded else per_endpoint
    assert all(held.get(key, 0) + count <= bound for key, count in shares.items())
    if total < slots:
        assert all(held.get(key, 0) + shares.get(key, 0) >= bound for key in waiting)
