"""Medians, percentiles and ratios."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.model import Case, Latency, Run
from tests.bench.stats import Spread, latency_of, percentile, ratio, spread


def a_run(in_round: int, per_s: float) -> Run:
    return Run(round=in_round, seconds=1.0, done=int(per_s), per_s=per_s, latency=latency_of([0.001]))


def a_case(target: str, *rates: float) -> Case:
    return Case(
        suite="create", target=target, size=16, runs=tuple(a_run(number, rate) for number, rate in enumerate(rates))
    )


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (0.999, 100.0), (1.0, 100.0), (0.001, 1.0)])
def test_a_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(1, 101)], share) == expected


@given(st.lists(st.floats(0, 1000), min_size=1), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values_and_enough_of_them_are_not_above_it(
    values: list[float], share: float
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in ordered
    assert sum(1 for value in ordered if value <= found) >= share * len(ordered) - 1e-9


def test_latencies_are_told_in_milliseconds() -> None:
    told = latency_of([0.001, 0.002, 0.010])
    assert (told.p50_ms, told.p99_ms, told.max_ms) == (2.0, 10.0, 10.0)


def test_a_run_without_answers_has_no_latency() -> None:
    nothing = latency_of([])
    assert nothing == Latency(mean_ms=0, p50_ms=0, p90_ms=0, p95_ms=0, p99_ms=0, p999_ms=0, max_ms=0)


def test_a_spread_is_the_median_between_the_lowest_and_the_highest() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


def test_a_ratio_compares_the_runs_of_the_same_round_only() -> None:
    # given a machine that became twice as fast after the first round
    ours, peer = a_case("harbor", 1000.0, 2000.0, 2000.0), a_case("crud", 100.0, 200.0, 200.0)
    # then the ratio never moved
    assert ratio(ours, peer) == Spread(10.0, 10.0, 10.0)


def test_without_a_common_round_there_is_no_ratio() -> None:
    assert ratio(a_case("harbor", 1000.0), a_case("crud")) is None


def test_whatever_is_not_a_success_failed() -> None:
    run = a_run(0, 10.0).model_copy(update={"statuses": {201: 7, 503: 2, 0: 1}, "unanswered": 3})
    assert run.failed == 6
