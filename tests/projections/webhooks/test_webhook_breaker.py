"""The breaker of an endpoint: when it opens, how long, and what closes it."""

import pytest

from projections.webhooks.breaker import Breaker


def test_five_failures_in_a_row_open_it_for_thirty_seconds_then_one_probe_goes_out() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.record(0.0, succeeded=False)
    assert breaker.permits(0.0, 0, 10) == 10
    breaker.record(0.0, succeeded=False)
    breaker.record(10.0, succeeded=False)  # of an attempt that began before it opened: changes nothing
    assert breaker.probe_due_at() == 30.0
    assert [breaker.permits(29.9, 0, 10), breaker.permits(30.0, 0, 10), breaker.permits(30.0, 1, 9)] == [0, 1, 0]


def test_a_failed_probe_doubles_the_open_time_up_to_fifteen_minutes() -> None:
    breaker, now_s = _opened(), 0.0
    waits = []
    for _ in range(7):
        opens_at = breaker.probe_due_at()
        assert opens_at is not None
        waits.append(opens_at - now_s)
        now_s = opens_at
        breaker.record(now_s, succeeded=False)
    assert waits == [30, 60, 120, 240, 480, 900, 900]


def test_a_good_probe_closes_it_and_forgets_the_past() -> None:
    breaker = _opened()
    breaker.record(30.0, succeeded=True)
    assert breaker.is_closed
    assert breaker.permits(30.0, 0, 10) == 10
    for _ in range(5):
        breaker.record(31.0, succeeded=False)
    assert breaker.probe_due_at() == 61.0


@pytest.mark.parametrize(("last_at_s", "is_closed"), [(19.0, False), (100.0, True)])
def test_half_of_twenty_attempts_within_a_minute_open_it(last_at_s: float, *, is_closed: bool) -> None:
    breaker = Breaker()
    for number in range(19):
        breaker.record(float(number), succeeded=number % 2 == 0)
    assert breaker.is_closed
    breaker.record(last_at_s, succeeded=False)
    assert breaker.is_closed is is_closed


def _opened() -> Breaker:
    breaker = Breaker()
    for _ in range(5):
        breaker.record(0.0, succeeded=False)
    return breaker
