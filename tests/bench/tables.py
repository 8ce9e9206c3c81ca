"""A report as tables of text: the same rows for a terminal and for Markdown. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench.model import HOT, HOT_ALONE, HOT_CONTROL, HOT_ORDER, HOT_WRITERS, OURS, Case, Part, Report, Run
from tests.bench.stack import TITLES
from tests.bench.stats import Spread, p50_ms, p99_ms, per_s, ratio, spread
from tests.bench.verdicts import verdicts

_BESIDE: Final = {
    HOT_ALONE: ", alone",
    HOT: f", {HOT_WRITERS} writers on one other order",
    HOT_CONTROL: ", as many creates beside",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A title, names of columns, rows of text; all but the first `texts` columns hold numbers."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1


def tables(report: Report) -> list[Table]:
    """Return every table that has rows."""
    made = [
        _verdicts(report),
        _creates(report),
        _others(report),
        _batches(report),
        _open(report),
        _append(report),
        inside(report.inside),
        _layers(report),
        _waits(report),
        _ceiling(report),
    ]
    return [table for table in made if table.rows]


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    marks = ["---" if number < table.texts else "---:" for number in range(len(table.columns))]
    lines = [table.columns, tuple(marks), *table.rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _verdicts(report: Report) -> Table:
    words = {True: "met", False: "**missed**"}
    rows = [
        (each.number, each.what, each.wanted, each.measured, words[each.is_met])
        for each in verdicts(report)
        if each.is_met is not None
    ]
    return Table("targets", "Targets", ("", "what", "wanted", "measured", ""), tuple(rows), texts=2)


def _creates(report: Report) -> Table:
    rows = []
    for case in sorted(report.of("create"), key=lambda each: each.size):
        ours = report.case("create", OURS, case.size)
        times = ratio(ours, case) if ours and case.target != OURS else None
        rows.append(
            (
                _title(case.target),
                str(case.size),
                _spread(per_s(case)),
                f"{p50_ms(case).median:.2f}",
                _spread(p99_ms(case), 1),
                _spread(times, 2) if times else "",
                _cpu(case, "service"),
                _cpu(case, "postgres"),
                _failed(case.runs),
            )
        )
    columns = ("target", "connections", "req/s", "p50 ms", "p99 ms", "ours / it", "CPU µs", "PostgreSQL µs", "failed")
    return Table("create", "Create one order, closed loop", columns, tuple(rows))


def _others(report: Report) -> Table:
    rows = []
    for suite in ("replay", "authorize", "capture", "authorize cold", HOT_ORDER):
        for case in report.of(suite):
            creates = report.case("create", OURS, case.size)
            share = ratio(case, creates) if creates else None
            shown = _spread(share, 2) if share else ""
            latency = (f"{p50_ms(case).median:.2f}", _spread(p99_ms(case), 1))
            rows.append((suite, str(case.size), _spread(per_s(case)), *latency, shown, _failed(case.runs)))
    columns = ("command", "connections", "req/s", "p50 ms", "p99 ms", "/ creates", "failed")
    return Table("commands", "Replays and state commands", columns, tuple(rows))


def _batches(report: Report) -> Table:
    rows = []
    for case in report.of("batch"):
        cpu = (_cpu(case, "service"), _cpu(case, "postgres"))
        latency = (f"{p50_ms(case).median:.0f}", _spread(p99_ms(case)))
        rows.append((str(case.size), _spread(per_s(case)), *latency, *cpu, _failed(case.runs)))
    columns = ("connections", "orders/s", "batch p50 ms", "p99 ms", "CPU µs per order", "PostgreSQL µs", "failed")
    return Table("batch", "Create orders in batches of 500, one process", columns, tuple(rows), texts=0)


def _open(report: Report) -> Table:
    rows = []
    for case in [each for suite in ("open", "sustained", HOT_ALONE, HOT, HOT_CONTROL) for each in report.of(suite)]:
        p95 = spread([run.latency.p95_ms for run in case.runs])
        late = spread([run.late_p99_ms or 0.0 for run in case.runs])
        seconds = f"{case.runs[0].seconds:.0f} s x {len(case.runs)}"
        rows.append(
            (
                _title(case.target) + _BESIDE.get(case.suite, ""),
                seconds,
                f"{case.offered_per_s or 0:,.0f}",
                f"{per_s(case).median:,.0f}",
                f"{p50_ms(case).median:.2f}",
                _spread(p95, 1),
                _spread(p99_ms(case), 1),
                f"{late.median:.1f}",
                _failed(case.runs),
            )
        )
    columns = ("target", "for", "offered/s", "answered/s", "p50 ms", "p95 ms", "p99 ms", "sent late p99 ms", "failed")
    return Table("open", "Create at a fixed rate, latency from the intended moment", columns, tuple(rows), texts=2)


def _append(report: Report) -> Table:
    rows = []
    for case in report.of("append"):
        what, _, sizes = case.target.partition(", ")
        if what != "append":
            continue
        raw = report.case("append", case.target.replace("append", "insert", 1), case.size)
        share = ratio(case, raw) if raw else None
        rows.append(
            (
                sizes or "530 + 680 bytes",
                str(case.size),
                _spread(per_s(case)),
                f"{p50_ms(case).median:.2f}",
                _spread(p99_ms(case), 2),
                f"{per_s(raw).median:,.0f}" if raw else "",
                _spread(share, 2) if share else "",
            )
        )
    columns = ("event + answer", "commands per call", "commands/s", "p50 ms", "p99 ms", "bare INSERT rows/s", "of it")
    return Table("append", "The append call alone, one connection", columns, tuple(rows))


def inside(parts: Sequence[Part]) -> Table:
    """Return what each part of an append call takes per command, a column for each batch size."""
    sizes = sorted({part.size for part in parts})
    found = {(part.where, part.name, part.size): part for part in parts}
    rows = []
    for where, name in dict.fromkeys((part.where, part.name) for part in parts):
        cells = [_per_command(found.get((where, name, size))) for size in sizes]
        rows.append((where, name, *cells))
    columns = ("in", "what", *(f"{size} per call" for size in sizes))
    title = "Inside the append function: microseconds (buffers) per command, by commands per call"
    return Table("inside", title, columns, tuple(rows), texts=2)


def _per_command(part: Part | None) -> str:
    if part is None:
        return ""
    return f"{part.us / part.size:.2f}" + (f" ({part.buffers / part.size:.1f})" if part.buffers else "")


def _layers(report: Report) -> Table:
    rows = [(layer.name, f"{layer.us:.1f}", f"{layer.share:.1%}") for layer in report.layers]
    if rows:
        rows.append(("all", f"{sum(layer.us for layer in report.layers):.1f}", ""))
    columns = ("layer", "CPU µs per create", "share")
    return Table("layers", "CPU of the service by layer, sampled at 64 connections", columns, tuple(rows))


def _waits(report: Report) -> Table:
    rows = [
        (
            str(wait.connections),
            f"{wait.seen_by_client_ms:.2f}",
            f"{wait.in_service_ms:.2f}",
            f"{wait.append_call_ms:.2f}",
            f"{wait.batch_commands:.1f}",
        )
        for wait in report.waits
    ]
    columns = ("connections", "client sees, ms", "in the service, ms", "one append call, ms", "commands per call")
    return Table("waits", "Where a create waits (means)", columns, tuple(rows), texts=0)


def _ceiling(report: Report) -> Table:
    rows = [
        (str(case.size), _spread(per_s(case)), f"{max(run.generator_share or 0 for run in case.runs):.0%}")
        for case in report.of("create")
        if case.target == "empty"
    ]
    columns = ("connections", "req/s", "of its one core")
    return Table("ceiling", "The generator against the empty ASGI app", columns, tuple(rows), texts=0)


def _title(target: str) -> str:
    return f"**{TITLES[target]}**" if target == OURS else TITLES[target]


def _spread(value: Spread, digits: int = 0) -> str:
    median, low, high = (f"{each:,.{digits}f}" for each in (value.median, value.low, value.high))
    return median if low == high else f"{median} ({low}-{high})"


def _cpu(case: Case, who: str) -> str:
    used = spread([run.cpu_us.get(who, 0.0) for run in case.runs]).median
    return f"{used:,.0f}" if used else ""


def _failed(runs: Sequence[Run]) -> str:
    failed = sum(run.failed for run in runs)
    return f"**{failed}**" if failed else "0"
