"""The rate rule, by itself and as Redis computes it."""

from hypothesis import given
from hypothesis import strategies as st

from infra.redis.gcra import MICROSECONDS, Rate, take

rates = st.builds(Rate, per_s=st.integers(1, 50_000), burst=st.integers(1, 5_000))


def test_a_new_bucket_gives_its_burst_and_then_one_per_interval() -> None:
    rate = Rate(per_s=10, burst=3)
    first = take(0, 1_000_000, rate, 5)
    assert (first.granted, first.remaining) == (3, 0)
    early = take(first.arrival_us, 1_000_000, rate, 1)
    assert (early.granted, early.wait_us) == (0, 100_001)
    assert take(first.arrival_us, 1_000_000 + early.wait_us, rate, 1).granted == 1


@given(rate=rates, wants=st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 100)), max_size=60))
def test_no_history_gets_more_than_burst_plus_rate(rate: Rate, wants: list[tuple[int, int]]) -> None:
    now, arrival, granted = 1_000_000_000.0, 0.0, 0
    start = now
    for pause_us, want in wants:
        now += pause_us
        taken = take(arrival, now, rate, want)
        arrival, granted = taken.arrival_us, granted + taken.granted
    assert granted <= rate.burst + (now - start) * rate.per_s / MICROSECONDS + 1


def test_less_than_the_least_is_not_taken() -> None:
    rate = Rate(per_s=10, burst=5)
    some = take(0, 1_000_000, rate, 3)
    refused = take(some.arrival_us, 1_000_000, rate, 4, least=4)
    assert (refused.granted, refused.remaining, refused.wait_us) == (0, 2, 200_001)
    assert refused.arrival_us == some.arrival_us
    assert take(some.arrival_us, 1_000_000 + refused.wait_us, rate, 4, least=4).granted == 4


@given(rate=rates, want=st.integers(1, 100), data=st.data())
def test_waiting_as_long_as_asked_is_enough(rate: Rate, want: int, data: st.DataObject) -> None:
    least = data.draw(st.integers(1, min(want, rate.burst)))
    drained = take(0, 5_000_000, rate, rate.burst)
    refused = take(drained.arrival_us, 5_000_000, rate, want, least)
    assert refused.granted == 0
    assert take(drained.arrival_us, 5_000_000 + refused.wait_us, rate, want, least).granted >= least
