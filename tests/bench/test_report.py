"""Statistics, verdicts and the page."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench import baseline
from tests.bench.report.model import HOT, HOT_ALONE, OURS, Case, Report, Run
from tests.bench.report.plot import ticks
from tests.bench.report.render import PageError, filled, parts, plots
from tests.bench.report.stats import Spread, latency_of, percentile, ratio
from tests.bench.report.verdicts import verdicts

CHECKOUT = Path(__file__).resolve().parents[2]


def a_case(suite: str, target: str, size: int, *rates: float, p99_s: float = 0.005) -> Case:
    latency = latency_of([0.001, p99_s])
    runs = (Run(round=at, seconds=1.0, done=int(rate), per_s=rate, latency=latency) for at, rate in enumerate(rates))
    return Case(suite=suite, target=target, size=size, runs=tuple(runs))


def a_report(*cases: Case) -> Report:
    return Report(started_at="2026-11-23 01:02 UTC", machine={"processor": "some"}, is_quick=False, cases=cases)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (0.999, 100.0), (1.0, 100.0), (0.001, 1.0)])
def test_a_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(1, 101)], share) == expected


@given(st.lists(st.floats(0, 1000), min_size=1), st.floats(0, 1))
def test_enough_values_are_not_above_a_percentile(values: list[float], share: float) -> None:
    found = percentile(sorted(values), share)
    assert found in values
    assert sum(1 for value in values if value <= found) >= share * len(values) - 1e-9


def test_a_ratio_compares_the_runs_of_the_same_round_only() -> None:
    # given a machine that became twice as fast after the first round
    ours, peer = a_case("create", OURS, 16, 1000.0, 2000.0, 2000.0), a_case("create", "crud", 16, 100.0, 200.0, 200.0)
    # then the ratio never moved
    assert ratio(ours, peer) == Spread(10.0, 10.0, 10.0)
    assert ratio(ours, a_case("create", "crud", 16)) is None


def test_whatever_is_not_a_success_failed() -> None:
    run = a_case("create", OURS, 1, 10.0).runs[0]
    assert run.model_copy(update={"statuses": {201: 7, 503: 2, 0: 1}, "unanswered": 3}).failed == 6


def test_verdicts_compare_medians_of_ratios_with_the_targets() -> None:
    report = a_report(
        a_case("create", OURS, 16, 900.0, 960.0, 1000.0),
        a_case("create", "eventsourcing", 16, 90.0, 80.0, 100.0),
        a_case("create", "crud", 16, 90.0, 96.0, 100.0),
        a_case("batch", OURS, 2, 9000.0),
        a_case(HOT_ALONE, OURS, 64, 300.0, p99_s=0.004),
        a_case(HOT, OURS, 64, 300.0),
    )
    found = {each.what: (each.measured, each.is_met) for each in verdicts(report)}
    assert found["create, 16 connections: ours / `eventsourcing`"] == ("10.0 (10.0-12.0)", True)
    assert found["create, 16 connections: ours / CRUD"] == ("10.0", False)
    assert found["orders in batches of 500, one process, 2 connections"] == ("9,000/s", False)
    assert found["other orders' p99 while 200 writers are on one order / alone"] == ("1.25", False)
    assert found["4 processes on one log / one process"] == ("not measured", None)


def test_the_published_page_and_plots_are_made_of_the_published_results() -> None:
    report = Report.model_validate_json((CHECKOUT / "docs/benchmarks/results.json").read_bytes())
    page = (CHECKOUT / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert filled(page, parts(report)) == page
    for name, drawn in plots(report).items():
        assert (CHECKOUT / "docs/benchmarks" / name).read_text(encoding="utf-8") == drawn
        assert f"(benchmarks/{name})" in page
    with pytest.raises(PageError, match="begin targets"):
        filled("# Something else", parts(report))


def test_the_baseline_table_says_what_became_slower() -> None:
    sides = [a_case("create", name, 16, rate) for name, rate in zip(baseline.NAMES, (90.0, 100.0), strict=True)]
    [row] = baseline.table(a_report(*sides)).rows
    assert row == ("create", "16", "90", "100", "0.90", "**slower**", "5.0", "5.0")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(3, 80, [2, 5, 10, 20, 50, 100]), (500, 45_000, [100, 1000, 10_000, 100_000]), (7, 7, [5, 10])],
)
def test_ticks_are_round_and_enclose_the_values(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected
