"""Medians, spreads, percentiles and ratios. Pure."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.report.model import Case, Latency, Run


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several runs and the lowest and highest of them."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return median and range; there is at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of ascending values such that `share` (0 to 1) of them are not above it (nearest rank)."""
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(rank, 1) - 1]


def latency_of(samples_s: Sequence[float]) -> Latency:
    """Return the percentiles of some durations in seconds; zeros when there is none."""
    ordered = sorted(samples_s) or [0.0]
    shares = {"p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}
    found = {name: round(percentile(ordered, share) * 1e3, 4) for name, share in shares.items()}
    return Latency(mean_ms=round(statistics.fmean(ordered) * 1e3, 4), **found)


def per_s(case: Case) -> Spread:
    """Return the spread of the rates."""
    return spread([run.per_s for run in case.runs])


def p50_ms(case: Case) -> Spread:
    """Return the spread of the median latencies."""
    return spread([run.latency.p50_ms for run in case.runs])


def p95_ms(case: Case) -> Spread:
    """Return the spread of the 95th percentiles."""
    return spread([run.latency.p95_ms for run in case.runs])


def p99_ms(case: Case) -> Spread:
    """Return the spread of the 99th percentiles."""
    return spread([run.latency.p99_ms for run in case.runs])


def ratio(ours: Case | None, peer: Case | None, value: Callable[[Run], float] = lambda run: run.per_s) -> Spread | None:
    """Return ours divided by the peer's, round by round; None when no round has both."""
    if ours is None or peer is None:
        return None
    theirs = {run.round: value(run) for run in peer.runs}
    ratios = [value(run) / theirs[run.round] for run in ours.runs if theirs.get(run.round)]
    return spread(ratios) if ratios else None
