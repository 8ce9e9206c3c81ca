"""docs/benchmarks.md and its plots from the JSON of a run.

    python -m tests.bench.report.render docs/benchmarks/results.json

Between `<!-- begin NAME -->` and `<!-- end NAME -->` the page is written by this program, everywhere else by hand.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from tests.bench.report.model import OURS, TITLES, Case, Report
from tests.bench.report.plot import Line, Plot, svg
from tests.bench.report.stats import Spread, p50_ms, p99_ms, per_s
from tests.bench.report.tables import markdown, tables

_DOCS: Final = Path(__file__).resolve().parents[3] / "docs"
_PLOTTED: Final = (OURS, "group_commit", "eventsourcing", "crud")
_PARTS: Final = ("targets", "create", "commands", "batch", "open", "append", "ceiling")


class PageError(Exception):
    """The page lacks a marker; the message names it."""


def filled(page: str, parts: dict[str, str]) -> str:
    """Return the page with each part between its markers.

    Raises:
        PageError: a part has no markers in the page.
    """
    for name, text in parts.items():
        before, begin, rest = page.partition(f"<!-- begin {name} -->\n")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        if not end:
            raise PageError(f"the page has no <!-- begin {name} --> ... <!-- end {name} -->")
        page = f"{before}{begin}{text}\n{end}{after}"
    return page


def parts(report: Report) -> dict[str, str]:
    """Return the text for every pair of markers; a table without rows says that it was not measured."""
    made = dict.fromkeys(_PARTS, "Not part of this run.")
    made |= {table.key: markdown(table) for table in tables(report)}
    made["machine"] = "\n".join(
        [f"Measured {report.started_at}{' (quick run)' if report.is_quick else ''} on:", ""]
        + [f"- {name}: {value}" for name, value in report.machine.items()]
        + [f"- left out: {TITLES.get(name, name)}: {why}" for name, why in report.left_out.items()]
    )
    return made


def plots(report: Report) -> dict[str, str]:
    """Return the plots: file name -> SVG."""
    creates = sorted(report.of("create"), key=lambda each: each.size)
    offered = sorted(report.of("open"), key=lambda each: each.offered_per_s or 0.0)
    by_connections, by_rate = "connections (closed loop)", "orders offered per second"
    made = {
        "throughput.svg": Plot("Orders created per second", by_connections, "orders/s", _lines(creates, per_s)),
        "p99.svg": Plot("99th percentile of the latency", by_connections, "ms", _lines(creates, p99_ms)),
        "p50.svg": Plot("Median latency", by_connections, "ms", _lines(creates, p50_ms)),
        "open.svg": Plot("Latency at a fixed rate", by_rate, "ms, p99", _lines(offered, p99_ms)),
    }
    return {name: svg(plot) for name, plot in made.items() if plot.lines}


def _lines(cases: list[Case], value: Callable[[Case], Spread]) -> tuple[Line, ...]:
    found: dict[str, list[tuple[float, Spread]]] = {target: [] for target in _PLOTTED}
    for case in cases:
        if case.target in found and value(case).low > 0:
            found[case.target].append((case.offered_per_s or case.size, value(case)))
    marked = enumerate(found.items())
    return tuple(Line(TITLES[target], tuple(points), mark) for mark, (target, points) in marked if points)


def write(report: Report, page: Path, folder: Path) -> list[Path]:
    """Fill the page, write the plots into the folder, and return what was written."""
    page.write_text(filled(page.read_text(encoding="utf-8"), parts(report)), encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {folder / name: text for name, text in plots(report).items()}
    for path, text in drawn.items():
        path.write_text(text, encoding="utf-8")
    return [page, *drawn]


@click.command(epilog="Example: python -m tests.bench.report.render docs/benchmarks/results.json")
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(results: Path) -> None:
    """Fill docs/benchmarks.md and draw its plots from RESULTS, what `python -m tests.bench --json` wrote."""
    report = Report.model_validate_json(results.read_bytes())
    try:
        for path in write(report, _DOCS / "benchmarks.md", _DOCS / "benchmarks"):
            click.echo(f"wrote {path}")
    except PageError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
