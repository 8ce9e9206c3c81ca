"""A report as tables of text: the same rows for a terminal and for Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from tests.bench.report.model import (
    HOT,
    HOT_ALONE,
    HOT_CONTROL,
    HOT_ORDER,
    HOT_WRITERS,
    OURS,
    TITLES,
    Case,
    Report,
    Run,
)
from tests.bench.report.stats import Spread, p50_ms, p95_ms, p99_ms, per_s, ratio, spread
from tests.bench.report.verdicts import verdicts

WIDTH_OF_FILES: Final = 160
"""Columns of an output that is not a terminal."""
_BESIDE: Final = {
    HOT_ALONE: ", alone",
    HOT: f", {HOT_WRITERS} writers on one other order",
    HOT_CONTROL: ", as many creates beside",
}
_IS_MET: Final = {True: "met", False: "**missed**"}
Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A title, names of columns, rows of text; all but the first `texts` columns hold numbers."""

    key: str
    title: str
    columns: Row
    rows: tuple[Row, ...]
    texts: int = 1


def tables(report: Report) -> list[Table]:
    """Return every table that has rows."""
    made = [
        _targets(report),
        _creates(report),
        _commands(report),
        _batches(report),
        _open(report),
        _append(report),
        _ceiling(report),
    ]
    return [table for table in made if table.rows]


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    marks = ["---" if number < table.texts else "---:" for number in range(len(table.columns))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (table.columns, marks, *table.rows))


def show(console: Console, table: Table) -> None:
    """Print a table on a terminal."""
    shown = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if number < table.texts else "right", no_wrap=True)
    for row in table.rows:
        shown.add_row(*(cell.replace("**", "").replace("`", "") for cell in row))
    console.print(shown)


def spread_text(value: Spread | None, digits: int = 0) -> str:
    """Return a median with its range; nothing for None."""
    if value is None:
        return ""
    median, low, high = (f"{each:,.{digits}f}" for each in (value.median, value.low, value.high))
    return median if low == high else f"{median} ({low}-{high})"


def _targets(report: Report) -> Table:
    rows = [
        (each.number, each.what, each.wanted, each.measured, _IS_MET[each.is_met])
        for each in verdicts(report)
        if each.is_met is not None
    ]
    return Table("targets", "Targets", ("", "what", "wanted", "measured", ""), tuple(rows), texts=2)


def _creates(report: Report) -> Table:
    def row(case: Case) -> Row:
        times = ratio(report.case("create", OURS, case.size), case) if case.target != OURS else None
        costs = (_cpu(case, "service"), _cpu(case, "postgres"), _failed(case.runs))
        return (_title(case.target), str(case.size), *_rate_and_latency(case), spread_text(times, 2), *costs)

    cases = sorted(report.of("create"), key=lambda each: each.size)
    columns = ("target", "connections", "req/s", "p50 ms", "p99 ms", "ours / it", "CPU µs", "PostgreSQL µs", "failed")
    return Table("create", "Create one order, closed loop", columns, tuple(map(row, cases)))


def _commands(report: Report) -> Table:
    def row(case: Case) -> Row:
        share = ratio(case, report.case("create", OURS, case.size))
        return (case.suite, str(case.size), *_rate_and_latency(case), spread_text(share, 2), _failed(case.runs))

    cases = _of(report, "replay", "authorize", "capture", "authorize cold", HOT_ORDER)
    columns = ("command", "connections", "req/s", "p50 ms", "p99 ms", "/ creates", "failed")
    return Table("commands", "Replays and state commands", columns, tuple(map(row, cases)))


def _batches(report: Report) -> Table:
    def row(case: Case) -> Row:
        latency = (f"{p50_ms(case).median:.0f}", spread_text(p99_ms(case)))
        costs = (_cpu(case, "service"), _cpu(case, "postgres"), _failed(case.runs))
        return (str(case.size), spread_text(per_s(case)), *latency, *costs)

    columns = ("connections", "orders/s", "batch p50 ms", "p99 ms", "CPU µs per order", "PostgreSQL µs", "failed")
    rows = tuple(map(row, report.of("batch")))
    return Table("batch", "Create orders in batches of 500, one process", columns, rows, texts=0)


def _open(report: Report) -> Table:
    def row(case: Case) -> Row:
        late = spread([run.late_p99_ms or 0.0 for run in case.runs])
        return (
            _title(case.target) + _BESIDE.get(case.suite, ""),
            f"{case.runs[0].seconds:.0f} s x {len(case.runs)}",
            f"{case.offered_per_s or 0:,.0f}",
            f"{per_s(case).median:,.0f}",
            f"{p50_ms(case).median:.2f}",
            spread_text(p95_ms(case), 1),
            spread_text(p99_ms(case), 1),
            f"{late.median:.1f}",
            _failed(case.runs),
        )

    cases = _of(report, "open", "sustained", HOT_ALONE, HOT, HOT_CONTROL)
    columns = ("target", "for", "offered/s", "answered/s", "p50 ms", "p95 ms", "p99 ms", "sent late p99 ms", "failed")
    title = "Create at a fixed rate, latency from the intended moment"
    return Table("open", title, columns, tuple(map(row, cases)), texts=2)


def _append(report: Report) -> Table:
    def row(case: Case) -> Row:
        raw = report.case("append", case.target.replace("append", "insert", 1), case.size)
        return (
            case.target.partition(", ")[2] or "530 + 680 bytes",
            str(case.size),
            spread_text(per_s(case)),
            f"{p50_ms(case).median:.2f}",
            spread_text(p99_ms(case), 2),
            f"{per_s(raw).median:,.0f}" if raw else "",
            spread_text(ratio(case, raw), 2),
        )

    cases = [case for case in report.of("append") if case.target.startswith("append")]
    columns = ("event + response", "commands per call", "commands/s", "p50 ms", "p99 ms", "bare INSERT rows/s", "of it")
    return Table("append", "The append call alone, one connection", columns, tuple(map(row, cases)))


def _ceiling(report: Report) -> Table:
    rows = tuple(
        (str(case.size), spread_text(per_s(case)), f"{max(run.generator_share or 0 for run in case.runs):.0%}")
        for case in report.of("create")
        if case.target == "empty"
    )
    columns = ("connections", "req/s", "of its one core")
    return Table("ceiling", "The generator against the empty ASGI app", columns, rows, texts=0)


def _of(report: Report, *suites: str) -> Iterable[Case]:
    return [case for suite in suites for case in report.of(suite)]


def _rate_and_latency(case: Case) -> Row:
    return spread_text(per_s(case)), f"{p50_ms(case).median:.2f}", spread_text(p99_ms(case), 1)


def _title(target: str) -> str:
    return f"**{TITLES[target]}**" if target == OURS else TITLES[target]


def _cpu(case: Case, process: str) -> str:
    used = spread([run.cpu_us.get(process, 0.0) for run in case.runs]).median
    return f"{used:,.0f}" if used else ""


def _failed(runs: Sequence[Run]) -> str:
    failed = sum(run.failed for run in runs)
    return f"**{failed}**" if failed else "0"
