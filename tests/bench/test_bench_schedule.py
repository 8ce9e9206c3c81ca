"""When the requests of an open loop are due."""

from hypothesis import given
from hypothesis import strategies as st

from tests.bench.schedule import Schedule


def test_requests_are_due_at_a_fixed_rate_whatever_happens_to_them() -> None:
    schedule = Schedule(rate_per_s=100.0, warmup_s=1.0, seconds=2.0)
    assert schedule.total == 300
    assert [schedule.due_s(number) for number in (0, 1, 250)] == [0.0, 0.01, 2.5]


def test_after_a_stall_all_that_became_due_meanwhile_is_due() -> None:
    schedule = Schedule(rate_per_s=100.0, warmup_s=0.0, seconds=2.0)
    assert schedule.due_by(0.5) == 51
    assert schedule.due_by(1.5) == 151


def test_nothing_is_due_before_the_start_or_after_the_end() -> None:
    schedule = Schedule(rate_per_s=100.0, warmup_s=0.0, seconds=2.0)
    assert schedule.due_by(-0.001) == 0
    assert schedule.due_by(60.0) == 200


def test_what_is_due_in_the_warm_up_is_not_measured() -> None:
    schedule = Schedule(rate_per_s=100.0, warmup_s=1.0, seconds=2.0)
    assert not schedule.is_measured(99)
    assert schedule.is_measured(100)


@given(st.floats(1, 50_000), st.floats(0, 2), st.floats(0.1, 5), st.floats(0, 10))
def test_a_request_counted_as_due_is_due_by_then(rate: float, warmup_s: float, seconds: float, at_s: float) -> None:
    schedule = Schedule(rate, warmup_s, seconds)
    due = schedule.due_by(at_s)
    assert due <= schedule.total
    assert due == 0 or schedule.due_s(due - 1) <= at_s + 1e-6
