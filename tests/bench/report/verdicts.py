"""The targets of the write path, and what a report says about each. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.bench.report.model import HOT, HOT_ALONE, HOT_CONTROL, HOT_WRITERS, OURS, PROCESSES, WITH_FUNCTIONS, Report
from tests.bench.report.stats import Spread, p50_ms, p95_ms, p99_ms, per_s, ratio

_PEERS: Final = (
    ("eventsourcing", "`eventsourcing`", 10.0),
    (WITH_FUNCTIONS, "`eventsourcing` with its database functions", 10.0),
    ("crud", "CRUD", 12.0),
    ("group_commit", "raw ASGI + group commit", 0.6),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target against its measurement. `is_met` is None where nothing was measured."""

    number: str
    what: str
    wanted: str
    measured: str
    is_met: bool | None


def verdicts(report: Report) -> tuple[Verdict, ...]:
    """Judge every target of the write path."""
    return (*_creates(report), *_open(report), *_commands(report), *_appends(report), *_beside(report))


def at_least(number: str, what: str, wanted: float, value: Spread | None, unit: str = "") -> Verdict:
    """Judge the median of some runs that must not be below what is wanted."""
    is_met = value.median >= wanted if value else None
    return Verdict(number, what, f"≥ {_number(wanted)}{unit}", _shown(value, unit), is_met)


def at_most(number: str, what: str, wanted: float, value: Spread | None, unit: str = "") -> Verdict:
    """Judge the median of some runs that must not be above what is wanted."""
    is_met = value.median <= wanted if value else None
    return Verdict(number, what, f"≤ {_number(wanted)}{unit}", _shown(value, unit), is_met)


def _shown(value: Spread | None, unit: str) -> str:
    if value is None:
        return "not measured"
    span = f" ({_number(value.low)}-{_number(value.high)})" if value.low < value.high else ""
    return f"{_number(value.median)}{unit}{span}"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _creates(report: Report) -> Iterator[Verdict]:
    for connections, most_ms in ((16, 8.0), (64, 20.0)):
        ours = report.case("create", OURS, connections)
        at = f"create, {connections} connections"
        for peer, title, least in _PEERS:
            times = ratio(ours, report.case("create", peer, connections))
            yield at_least("T1", f"{at}: ours / {title}", least, times)
        yield at_most("T1", f"{at}: p99", most_ms, p99_ms(ours) if ours else None, " ms")
    one = report.case("create", OURS, 1)
    yield at_most("T2", "create, 1 connection: p50", 1.0, p50_ms(one) if one else None, " ms")
    yield at_most("T2", "create, 1 connection: p99", 3.0, p99_ms(one) if one else None, " ms")


def _open(report: Report) -> Iterator[Verdict]:
    case = next((each for each in report.of("sustained") if each.target == OURS), None)
    at = f"open loop at 60 % of the peak ({case.offered_per_s:,.0f}/s)" if case and case.offered_per_s else "open loop"
    yield at_most("T3", f"{at}: p95", 10.0, p95_ms(case) if case else None, " ms")
    yield at_most("T3", f"{at}: p99", 25.0, p99_ms(case) if case else None, " ms")


def _commands(report: Report) -> Iterator[Verdict]:
    for number, suite, what, least in (
        ("T4", "replay", "replays", 1.2),
        ("T5", "authorize", "authorize", 0.8),
        ("T5", "capture", "capture", 0.8),
    ):
        for connections in (16, 64):
            share = ratio(report.case(suite, OURS, connections), report.case("create", OURS, connections))
            yield at_least(number, f"{what} / creates, {connections} connections", least, share)
    batches = [each for each in report.of("batch") if each.target == OURS]
    best = max(batches, key=lambda case: per_s(case).median, default=None)
    at = f", {best.size} connections" if best else ""
    yield at_least("T6", f"orders in batches of 500, one process{at}", 10_000, per_s(best) if best else None, "/s")


def _appends(report: Report) -> Iterator[Verdict]:
    for size, least in ((50, 32_000), (100, 38_000)):
        case = report.case("append", "append", size)
        yield at_least("T7", f"append call, {size} commands each", least, per_s(case) if case else None, "/s")
        yield at_most("T7", f"append call, {size} commands each: p99", 5.0, p99_ms(case) if case else None, " ms")


def _beside(report: Report) -> Iterator[Verdict]:
    four, one = (report.case("create", target, 64) for target in (PROCESSES, OURS))
    yield at_least("T8", "4 processes on one log / one process", 1.0, ratio(four, one))
    slower = ratio(four, one, lambda run: run.latency.p99_ms)
    yield at_most("T8", "p99 of 4 processes / one process", 2.0, slower)
    hot, alone, control = (next(iter(report.of(suite)), None) for suite in (HOT, HOT_ALONE, HOT_CONTROL))
    for other, than in ((alone, "alone"), (control, "beside as many creates")):
        slower = ratio(hot, other, lambda run: run.latency.p99_ms)
        yield at_most("H", f"other orders' p99 while {HOT_WRITERS} writers are on one order / {than}", 1.1, slower)
