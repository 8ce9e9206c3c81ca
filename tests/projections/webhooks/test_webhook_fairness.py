"""Who gets the slots: no endpoint holds more than a tenth while another waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.webhooks.fairness import share_slots


@pytest.mark.parametrize(
    ("waiting", "held", "slots", "per_endpoint", "shares"),
    [
        pytest.param("a", {}, 100, 50, {"a": 50}, id="alone: its own bound"),
        pytest.param("ab", {}, 100, 50, {"a": 10, "b": 10}, id="in company: a tenth"),
        pytest.param("ab", {"a": 10}, 100, 50, {"b": 10}, id="one that holds its tenth: nothing more"),
        pytest.param("ab", {}, 4, 10, {"a": 1, "b": 1}, id="few slots: one at least"),
        pytest.param("abc", {"x": 8}, 10, 10, {"a": 1, "b": 1}, id="too few slots: the longest waiting first"),
    ],
)
def test_slots_are_shared(
    waiting: str, held: dict[str, int], slots: int, per_endpoint: int, shares: dict[str, int]
) -> None:
    assert share_slots(list(waiting), held, slots=slots, per_endpoint=per_endpoint) == shares


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
