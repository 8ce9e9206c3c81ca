"""The targets of the write path, and what a report says about each. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench.model import HOT, HOT_ALONE, HOT_CONTROL, HOT_WRITERS, OURS, Report
from tests.bench.stack import PROCESSES, WITH_FUNCTIONS
from tests.bench.stats import Spread, p50_ms, p99_ms, per_s, ratio, spread


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
    return tuple(each for judge in _JUDGES for each in judge(report))


def _verdict(number: str, what: str, wanted: float, value: Spread | None, unit: str, *, least: bool) -> Verdict:
    """Judge the median of some runs: at least, or at most, what is wanted."""
    sign = "≥" if least else "≤"
    asked = f"{sign} {_number(wanted)}{unit}"
    if value is None:
        return Verdict(number, what, asked, "not measured", None)
    met = value.median >= wanted if least else value.median <= wanted
    shown = f"{_number(value.median)}{unit}"
    if value.low < value.high:
        shown += f" ({_number(value.low)}-{_number(value.high)})"
    return Verdict(number, what, asked, shown, met)


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(report: Report, ours: tuple[str, str, int], other: tuple[str, str, int]) -> Spread | None:
    left, right = report.case(*ours), report.case(*other)
    return ratio(left, right) if left and right else None


def _t1(report: Report) -> Sequence[Verdict]:
    found: list[Verdict] = []
    for connections, most_ms in ((16, 8.0), (64, 20.0)):
        ours = report.case("create", OURS, connections)
        at = f"create, {connections} connections"
        for peer, least in (("eventsourcing", 10.0), (WITH_FUNCTIONS, 10.0), ("crud", 12.0), ("group_commit", 0.6)):
            value = _ratio(report, ("create", OURS, connections), ("create", peer, connections))
            found.append(_verdict("T1", f"{at}: ours / {_PEERS[peer]}", least, value, "", least=True))
        value = p99_ms(ours) if ours else None
        found.append(_verdict("T1", f"{at}: p99", most_ms, value, " ms", least=False))
    return found


def _t2(report: Report) -> Sequence[Verdict]:
    case = report.case("create", OURS, 1)
    return (
        _verdict("T2", "create, 1 connection: p50", 1.0, p50_ms(case) if case else None, " ms", least=False),
        _verdict("T2", "create, 1 connection: p99", 3.0, p99_ms(case) if case else None, " ms", least=False),
    )


def _t3(report: Report) -> Sequence[Verdict]:
    case = next((each for each in report.of("sustained") if each.target == OURS), None)
    at = f"open loop at 60 % of the peak ({case.offered_per_s:,.0f}/s)" if case and case.offered_per_s else "open loop"
    p95 = spread([run.latency.p95_ms for run in case.runs]) if case else None
    return (
        _verdict("T3", f"{at}: p95", 10.0, p95, " ms", least=False),
        _verdict("T3", f"{at}: p99", 25.0, p99_ms(case) if case else None, " ms", least=False),
    )


def _of_creates(number: str, suite: str, what: str, least: float) -> Callable[[Report], Sequence[Verdict]]:
    def judge(report: Report) -> Sequence[Verdict]:
        return [
            _verdict(
                number,
                f"{what} / creates, {connections} connections",
                least,
                _ratio(report, (suite, OURS, connections), ("create", OURS, connections)),
                "",
                least=True,
            )
            for connections in (16, 64)
        ]

    return judge


def _t6(report: Report) -> Sequence[Verdict]:
    cases = [each for each in report.of("batch") if each.target == OURS]
    best = max(cases, key=lambda case: per_s(case).median, default=None)
    at = f", {best.size} connections" if best else ""
    rate = per_s(best) if best else None
    return (_verdict("T6", f"orders in batches of 500, one process{at}", 10_000.0, rate, "/s", least=True),)


def _t7(report: Report) -> Sequence[Verdict]:
    found: list[Verdict] = []
    for size, least in ((50, 32_000.0), (100, 38_000.0)):
        case = report.case("append", "append", size)
        rate, slow_ms = (per_s(case), p99_ms(case)) if case else (None, None)
        found.append(_verdict("T7", f"append call, {size} commands each", least, rate, "/s", least=True))
        found.append(_verdict("T7", f"append call, {size} commands each: p99", 5.0, slow_ms, " ms", least=False))
    return found


def _t8(report: Report) -> Sequence[Verdict]:
    one, four = ("create", OURS, 64), ("create", PROCESSES, 64)
    left, right = report.case(*four), report.case(*one)
    slower = ratio(left, right, lambda run: run.latency.p99_ms) if left and right else None
    return (
        _verdict("T8", "4 processes on one log / one process", 1.0, _ratio(report, four, one), "", least=True),
        _verdict("T8", "p99 of 4 processes / one process", 2.0, slower, "", least=False),
    )


def _hot(report: Report) -> Sequence[Verdict]:
    run_in_background, alone, control = (next(iter(report.of(suite)), None) for suite in (HOT, HOT_ALONE, HOT_CONTROL))
    found: list[Verdict] = []
    for other, than in ((alone, "alone"), (control, "beside as many creates")):
        slower = (
            ratio(run_in_background, other, lambda run: run.latency.p99_ms) if run_in_background and other else None
        )
        what = f"other orders' p99 while {HOT_WRITERS} writers are on one order / {than}"
        found.append(_verdict("H", what, 1.1, slower, "", least=False))
    return found


_PEERS: Final = {
    "eventsourcing": "`eventsourcing`",
    WITH_FUNCTIONS: "`eventsourcing` with its database functions",
    "crud": "CRUD",
    "group_commit": "raw ASGI + group commit",
}
_JUDGES: Final[tuple[Callable[[Report], Sequence[Verdict]], ...]] = (
    _t1,
    _t2,
    _t3,
    _of_creates("T4", "replay", "replays", 1.2),
    _of_creates("T5", "authorize", "authorize", 0.8),
    _of_creates("T5", "capture", "capture", 0.8),
    _t6,
    _t7,
    _t8,
    _hot,
)
