"""How fast is the write path, beside what people would use instead? `make bench`, or `python -m tests.bench`."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from tests.bench import baseline, machine
from tests.bench.bench import Bench
from tests.bench.pace import FULL, QUICK, Pace
from tests.bench.progress import Steps
from tests.bench.report.model import Report
from tests.bench.report.tables import WIDTH_OF_FILES, show, tables
from tests.bench.stack import TargetError, bench_stack, recycle_wal
from tests.bench.suites import QUICK_SUITES, SUITES, Suite

NAMES = tuple(suite.name for suite in SUITES)


def planned_s(pace: Pace, suites: Sequence[Suite]) -> float:
    """Return about how many seconds the measurements will take."""
    return pace.rounds * sum(suite.seconds(pace) for suite in suites)


def measure_all(bench: Bench, suites: Sequence[Suite]) -> Report:
    """Run the suites, round by round, and return everything they measured."""
    report = _begin(bench)
    for number in range(bench.pace.rounds):
        bench.say(f"round {number + 1} of {bench.pace.rounds}")
        bench.stack.execute("CHECKPOINT")
        for suite in suites:
            suite.measure(bench, number)
    return report.model_copy(update={"cases": bench.cases.all, "left_out": bench.left_out})


def compare(bench: Bench, path: Path) -> Report:
    """Measure this checkout and an older one in turn."""
    report = _begin(bench)
    try:
        baseline.compare(bench, path)
    except (baseline.BaselineError, TargetError) as error:
        raise click.ClickException(str(error)) from error
    return report.model_copy(update={"cases": bench.cases.all, "left_out": bench.left_out})


def _begin(bench: Bench) -> Report:
    facts = machine.describe(bench.stack.settings())
    report = Report(started_at=machine.started_at(), machine=facts, is_quick=bench.pace.rounds < FULL.rounds)
    bench.say("making WAL files to be reused")
    recycle_wal(bench.stack.cluster, bench.pace.wal_segments)
    return report


_EPILOG = f"""\b
Parts: {", ".join(NAMES)}.
Examples:
  python -m tests.bench --quick
  python -m tests.bench --only create --only replay
  python -m tests.bench --json docs/benchmarks/results.json
  python -m tests.bench --baseline ../older-checkout
  python -m tests.bench.report.render docs/benchmarks/results.json
"""


@click.command(epilog=_EPILOG)
@click.option("--quick", is_flag=True, help="a rough answer within a minute: one short round, fewer parts")
@click.option("--only", "only", type=click.Choice(NAMES), multiple=True, help="this part; may be given several times")
@click.option("--rounds", type=click.IntRange(1, 50), help=f"repetitions of everything [{FULL.rounds}]")
@click.option("--seconds", type=click.FloatRange(0.1, 600), help=f"length of one measurement [{FULL.seconds:g}]")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="write the figures there")
@click.option(
    "--baseline",
    "older",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="instead, compare with this checkout of another commit, which has a .venv of its own",
)
def main(
    *,
    quick: bool,
    only: tuple[str, ...],
    rounds: int | None,
    seconds: float | None,
    json_path: Path | None,
    older: Path | None,
) -> None:
    """Measure the command service beside an eventsourcing application, plain CRUD and the raw limits.

    Starts its own PostgreSQL and Redis in a temporary directory and needs nothing that runs. A full run takes about 30
    minutes and should have the machine to itself; a quick one takes less than a minute.
    """
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES, soft_wrap=True)
    pace = QUICK if quick else FULL
    pace = replace(pace, rounds=rounds or pace.rounds, seconds=seconds or pace.seconds)
    names = only or (QUICK_SUITES if quick else NAMES)
    suites = [suite for suite in SUITES if suite.name in names]
    warning = machine.busy()
    if warning:
        console.print(f"[yellow]{warning}[/]", highlight=False)
    with bench_stack() as stack:
        if older:
            report = compare(Bench(stack, pace, Steps(console, baseline.planned_s(pace))), older)
        else:
            report = measure_all(Bench(stack, pace, Steps(console, planned_s(pace, suites))), suites)
    if json_path:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    for table in [baseline.table(report)] if older else tables(report):
        show(console, table)
    for name, why in report.left_out.items():
        console.print(f"[yellow]left out:[/] {name}: {why}", highlight=False)
    if json_path:
        console.print(f"wrote {json_path}", highlight=False)
    sys.exit(1 if any(run.failed for case in report.cases for run in case.runs) else 0)


if __name__ == "__main__":
    main()
