"""docs/benchmarks.md and its plots from the JSON of a run.

    python -m tests.bench.render docs/benchmarks/results.json

Between `<!-- begin NAME -->` and `<!-- end NAME -->` the page belongs to this program, everything else to its readers
and writers. A page that does not exist yet is begun from `page.md` beside this file.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from tests.bench.flame import flame_graph
from tests.bench.model import OURS, Case, Report
from tests.bench.plot import Line, Plot, svg
from tests.bench.stack import TITLES
from tests.bench.stats import Spread, p50_ms, p99_ms, per_s
from tests.bench.tables import markdown, tables

CHECKOUT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = CHECKOUT / "docs" / "benchmarks.md"
PLOTS: Final = CHECKOUT / "docs" / "benchmarks"
_BEGUN_FROM: Final = Path(__file__).with_name("page.md")
_PLOTTED: Final = (OURS, "group_commit", "eventsourcing", "crud")


class PageError(Exception):
    """The page lacks a marker; the message names it."""


def filled(page: str, parts: dict[str, str]) -> str:
    """Return the page with each part between its markers.

    Raises:
        PageError: a part has no markers in the page.
    """
    for name, text in parts.items():
        marked = re.compile(rf"(<!-- begin {re.escape(name)} -->\n).*?(<!-- end {re.escape(name)} -->)", re.DOTALL)
        if not marked.search(page):
            raise PageError(f"the page has no <!-- begin {name} --> ... <!-- end {name} -->")
        page = marked.sub(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page)  # type: ignore[misc]  # binds now
    return page


def parts(report: Report) -> dict[str, str]:
    """Return the text for every pair of markers; a table without rows says that it was not measured."""
    names = ("targets", "create", "commands", "batch", "open", "append", "inside", "layers", "waits", "ceiling")
    made = dict.fromkeys(names, "Not part of this run.")
    made |= {table.key: markdown(table) for table in tables(report)}
    made["machine"] = "\n".join(
        [f"Measured {report.started_at}{' (quick run)' if report.is_quick else ''} on:", ""]
        + [f"- {name}: {value}" for name, value in report.machine.items()]
        + [f"- left out: {TITLES.get(name, name)}: {why}" for name, why in report.left_out.items()]
    )
    return made


def plots(report: Report) -> dict[str, str]:
    """Return the plots: file name -> SVG."""
    made: dict[str, str] = {}
    for name, title, label, value in (
        ("throughput", "Orders created per second", "orders/s", per_s),
        ("p99", "99th percentile of the latency", "ms", p99_ms),
        ("p50", "Median latency", "ms", p50_ms),
    ):
        lines = _by_connections(report, value)
        if lines:
            made[f"{name}.svg"] = svg(Plot(title, "connections (closed loop)", label, lines))
    offered = _by_rate(report)
    if offered:
        made["open.svg"] = svg(Plot("Latency at a fixed rate", "orders offered per second", "ms, p99", offered))
    if report.samples:
        made["flame.svg"] = flame_graph(report.samples, "CPU of the command service under 64 connections")
    return made


def _by_connections(report: Report, value: Callable[[Case], Spread]) -> tuple[Line, ...]:
    lines: list[Line] = []
    for target in _PLOTTED:
        cases = sorted((each for each in report.of("create") if each.target == target), key=lambda each: each.size)
        points = tuple((float(case.size), value(case)) for case in cases if value(case).low > 0)
        if points:
            lines.append(Line(TITLES[target], points, _PLOTTED.index(target)))
    return tuple(lines)


def _by_rate(report: Report) -> tuple[Line, ...]:
    lines: list[Line] = []
    for target in _PLOTTED:
        cases = [each for each in report.of("open") if each.target == target and each.offered_per_s]
        cases.sort(key=lambda each: each.offered_per_s or 0.0)
        points = tuple((case.offered_per_s or 1.0, p99_ms(case)) for case in cases)
        if points:
            lines.append(Line(TITLES[target], points, _PLOTTED.index(target)))
    return tuple(lines)


def write(report: Report, page: Path, folder: Path) -> list[Path]:
    """Write the page and the plots; give what was written."""
    text = page.read_text(encoding="utf-8") if page.exists() else _BEGUN_FROM.read_text(encoding="utf-8")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(filled(text, parts(report)), encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    written = [page]
    for name, drawn in plots(report).items():
        (folder / name).write_text(drawn, encoding="utf-8")
        written.append(folder / name)
    return written


@click.command(epilog="Example: python -m tests.bench.render docs/benchmarks/results.json")
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--page", type=click.Path(path_type=Path), default=PAGE, help="the page to fill [docs/benchmarks.md]")
@click.option("--plots", "folder", type=click.Path(path_type=Path), default=PLOTS, help="folder of the SVGs")
def main(results: Path, page: Path, folder: Path) -> None:
    """Fill the benchmark page and draw its plots from RESULTS, what `python -m tests.bench --json` wrote."""
    report = Report.model_validate_json(results.read_bytes())
    try:
        for path in write(report, page, folder):
            click.echo(f"wrote {path}")
    except PageError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
