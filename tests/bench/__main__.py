"""How fast is the write path, beside what people would use instead? `make bench`, or `python -m tests.bench`."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from tests.bench import machine, profiling
from tests.bench.bench import Bench
from tests.bench.layers import heaviest
from tests.bench.model import Report
from tests.bench.pace import FULL, QUICK, Pace
from tests.bench.progress import Steps
from tests.bench.stack import BenchStack, bench_stack, recycle_wal
from tests.bench.suites import QUICK_SUITES, SUITES, Suite
from tests.bench.tables import tables
from tests.bench.terminal import WIDTH_OF_FILES, show

LAYERS = "layers"
NAMES = (*(suite.name for suite in SUITES), LAYERS)
_KEPT_STACKS = 300


def planned_s(pace: Pace, suites: Sequence[Suite], has_layers: bool) -> float:
    """Return about how many seconds the measurements will take."""
    layers_s = (6 + len(pace.connections)) * pace.seconds if has_layers else 0.0
    return pace.rounds * sum(suite.seconds(pace) for suite in suites) + layers_s


def measure_all(stack: BenchStack, console: Console, pace: Pace, names: Sequence[str], *, is_quick: bool) -> Report:
    """Run the named suites, round by round, and give everything they measured."""
    started_at = machine.started_at()
    suites = [suite for suite in SUITES if suite.name in names]
    bench = Bench(stack, pace, Steps(console, planned_s(pace, suites, LAYERS in names)))
    facts = machine.describe(stack.settings())
    bench.say("making WAL files to be reused")
    recycle_wal(stack.cluster, pace.wal_segments)
    for number in range(pace.rounds):
        bench.say(f"round {number + 1} of {pace.rounds}")
        stack.execute("CHECKPOINT")
        for suite in suites:
            suite.measure(bench, number)
    profiled = profiling.profile(bench) if LAYERS in names else profiling.NOTHING
    return Report(
        started_at=started_at,
        machine=facts,
        is_quick=is_quick,
        cases=bench.cases.all,
        layers=profiled.layers,
        samples=heaviest(profiled.samples, _KEPT_STACKS),
        waits=profiled.waits,
        inside=bench.inside,
        left_out=bench.left_out,
    )


_EPILOG = f"""\b
Parts: {", ".join(NAMES)}.
Examples:
  python -m tests.bench --quick
  python -m tests.bench --only create --only replay
  python -m tests.bench --json docs/benchmarks/results.json
  python -m tests.bench.render docs/benchmarks/results.json
"""


@click.command(epilog=_EPILOG)
@click.option("--quick", is_flag=True, help="a rough answer within a minute: one short round, fewer parts")
@click.option("--only", "only", type=click.Choice(NAMES), multiple=True, help="this part; may be given several times")
@click.option("--rounds", type=click.IntRange(1, 50), help=f"repetitions of everything [{FULL.rounds}]")
@click.option("--seconds", type=click.FloatRange(0.1, 600), help=f"length of one measurement [{FULL.seconds:g}]")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="write the figures there")
def main(
    *, quick: bool, only: tuple[str, ...], rounds: int | None, seconds: float | None, json_path: Path | None
) -> None:
    """Measure the command service beside an eventsourcing application, plain CRUD and the raw limits.

    Starts its own PostgreSQL and Redis in a temporary directory and needs nothing that runs. A full run takes about 30
    minutes and should have the machine to itself; a quick one takes less than a minute.
    """
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES, soft_wrap=True)
    pace = QUICK if quick else FULL
    pace = replace(pace, rounds=rounds or pace.rounds, seconds=seconds or pace.seconds)
    names = only or (QUICK_SUITES if quick else NAMES)
    warning = machine.busy()
    if warning:
        console.print(f"[yellow]{warning}[/]", highlight=False)
    with bench_stack() as stack:
        report = measure_all(stack, console, pace, names, is_quick=quick)
    if json_path:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    for table in tables(report):
        show(console, table)
    for name, why in report.left_out.items():
        console.print(f"[yellow]left out:[/] {name}: {why}", highlight=False)
    if json_path:
        console.print(f"wrote {json_path}; next: python -m tests.bench.render {json_path}", highlight=False)
    sys.exit(1 if any(run.failed for case in report.cases for run in case.runs) else 0)


if __name__ == "__main__":
    main()
