"""Does the append get slower as the log grows? The call beside itself: on a full log and on an empty one, by turns.

    python -m tests.bench.append_decay --events 1000000,20000000 --json decay.json

Starts a PostgreSQL of its own. The log is filled inside the server, into the real tables: the events of two weeks at an
even rate, one stream and one ledger entry's share each, and the answers of the last seven days under random keys, which
is what a system that has run for a while keeps. Payloads and answers have the sizes of `tests.bench.append`.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import asyncpg
import click
import uvloop
from rich.console import Console

from tests.bench import machine
from tests.bench.append import SMALL, sending
from tests.bench.append import run as measured
from tests.bench.model import Case, Report
from tests.bench.progress import Steps
from tests.bench.stack import recycle_wal, server_settings
from tests.bench.stats import p99_ms, per_s, ratio
from tests.support.services import servers
from tests.support.services.servers import PostgresCluster, run

BATCHES: Final = (1, 10, 100, 500)
LEAST: Final = 1 / 1.3
EMPTY: Final = "empty"
_CHUNK: Final = 100_000
_EVENT_BYTES: Final = 1800  # of disk, with indexes, stream and half an answer
_WAL_SEGMENTS: Final = 64
_SPARE_BYTES: Final = 12 * 2**30  # WAL, what is appended while measuring, and the neighbours on the disk

# Everything of events $1+1 to $2 of $3, as if batches of 100 had written them; $4 is a payload, $5 an answer.
_FILL: Final = """
WITH made AS MATERIALIZED (
    SELECT position, recorded_at, uuidv7(recorded_at - now()) AS id,
           recorded_at > now() - interval '7 days' AS is_recent
    FROM (SELECT position, now() - interval '14 days' * (1 - position::float8 / $3) AS recorded_at
          FROM generate_series($1::bigint + 1, $2::bigint) AS position) AS dated
), streams AS (
    INSERT INTO harbor.streams (tenant_id, stream_id, log_id, type, version, first_position, last_position)
    SELECT 'acme.test', id, 0, 'order', 1, position, position FROM made
), responses AS (
    INSERT INTO harbor.recorded_responses (
        recorded_at, stream_id, position, version, status, tenant_id, key, fingerprint, response)
    SELECT recorded_at, id, position, 1, 201, 'acme.test', md5(id::text), sha256(uuid_send(id)), $5 FROM made
    WHERE is_recent
), batches AS (
    INSERT INTO harbor.batches (log_id, first_position, last_position, count, committed_at)
    SELECT 0, position - 99, position, 100, recorded_at FROM made WHERE position % 100 = 0
)
INSERT INTO harbor.events (
    position, log_id, stream_id, version, schema_version, event_id, occurred_at, recorded_at, tenant_id, type, actor,
    correlation_id, leaf_hash, payload)
SELECT position, 0, id, 1, 1, uuidv7(recorded_at - now()), recorded_at, recorded_at, 'acme.test', 'order.created',
       'api_key:abcd1234', substr(md5(position::text), 1, 16), sha256(uuid_send(id)), $4
FROM made
"""

# The partition of the week before this one, which maintenance made when that week began.
_LAST_WEEKS: Final = """
SELECT harbor.add_partition('recorded_responses', 'recorded_responses_' || to_char(monday, 'YYYYMMDD'), 'recorded_at',
                            monday::text, (monday + interval '7 days')::text)
FROM (SELECT date_trunc('week', now()) - interval '7 days' * back AS monday FROM generate_series(1, 2) AS back) AS weeks
"""


def needed_bytes(events: int) -> int:
    """Return about how much disk a log of so many events takes here."""
    return events * _EVENT_BYTES + _SPARE_BYTES


async def fill(url: str, upto: int, console: Console, *, chunk: int = _CHUNK) -> None:
    """Bring the log to `upto` events, `chunk` per transaction; `url` is the administrator's."""
    connection = await asyncpg.connect(url, server_settings={"synchronous_commit": "off", "timezone": "UTC"})
    try:
        await connection.execute(_LAST_WEEKS)
        begin = await connection.fetchval("SELECT coalesce(max(last_position), 0) FROM harbor.batches")
        started_s = time.monotonic()
        for after in range(begin, upto, chunk):
            head = min(after + chunk, upto)
            await connection.execute("SELECT harbor.maintain_partitions()")
            await connection.execute(_FILL, after, head, upto, b"p" * SMALL.event, b"r" * SMALL.answer)
            rate = (head - begin) / (time.monotonic() - started_s)
            console.print(
                f"[dim]filling {head:,} of {upto:,}: {head / upto:4.0%}, {rate:,.0f} events/s, "
                f"{(upto - head) / rate:,.0f} s left[/]",
                highlight=False,
            )
    finally:
        await connection.close()


async def round_of(urls: dict[str, str], in_round: int, seconds: float) -> list[Case]:
    """Measure every batch size once in every database, which take turns; give a case with one run for each."""
    names = sorted(urls, reverse=in_round % 2 == 1)
    connections = {name: await asyncpg.connect(urls[name]) for name in names}
    try:
        return [
            Case(
                suite="decay",
                target=name,
                size=size,
                runs=(await measured(sending(connections[name], SMALL), size, seconds, in_round),),
            )
            for size in BATCHES
            for name in names
        ]
    finally:
        for connection in connections.values():
            await connection.close()


def at_level(
    cluster: PostgresCluster, urls: dict[str, str], rounds: int, seconds: float, steps: Steps, *, is_forced: bool
) -> list[Case]:
    """Measure rounds between the server's own checkpoints, or each right after a forced one.

    After a checkpoint every page is written to the WAL whole at its first change: the worst moment of a large log. What
    follows the first checkpoint goes by unmeasured otherwise.
    """
    found: dict[tuple[str, int], Case] = {}
    run(cluster.execute("CHECKPOINT"))
    if not is_forced:
        uvloop.run(round_of(urls, 0, seconds))
    for number in range(rounds):
        if is_forced:
            run(cluster.execute("CHECKPOINT"))
        for case in uvloop.run(round_of(urls, number, seconds)):
            known = found.get((case.target, case.size))
            found[case.target, case.size] = (
                case.model_copy(update={"runs": (*known.runs, *case.runs)}) if known else case
            )
            (only,) = case.runs
            steps.done(f"{case.target} events, {case.size} commands per call: {only.per_s:,.0f}/s", seconds)
    return list(found.values())


def measure_all(
    cluster: PostgresCluster,
    levels: Sequence[int],
    rounds: int,
    seconds: float,
    console: Console,
    *,
    is_forced: bool,
    started_at: Callable[[], str] = machine.started_at,
) -> Report:
    """Fill a log up to each level and measure there; the report tells when it began and how busy the machine was then.

    The databases are dropped at the end.
    """
    begun = Report(
        started_at=started_at(),
        machine=machine.describe(run(server_settings(cluster.server.url()))),
        is_quick=False,
        cases=(),
    )
    cases: list[Case] = []
    full = run(cluster.create_database())
    steps = Steps(console, len(levels) * rounds * len(BATCHES) * 2 * seconds)
    for level in levels:
        uvloop.run(fill(full.admin_url, level, console))
        empty = run(cluster.create_database())
        urls = {EMPTY: empty.admin_url, f"{level:,}": full.admin_url}
        at = at_level(cluster, urls, rounds, seconds, steps, is_forced=is_forced)
        cases += [case.model_copy(update={"suite": f"decay at {level:,}"}) for case in at]
        run(cluster.drop_database(empty.name))
    run(cluster.drop_database(full.name))
    return begun.model_copy(update={"cases": tuple(cases)})


def show(console: Console, cases: Sequence[Case]) -> None:
    """Print a line per level and batch size."""
    console.print("events          batch   commands/s     empty log   of empty (range)        p99 ms")
    empty: Case | None = None
    for case in sorted(cases, key=lambda each: (each.suite, each.size, each.target != EMPTY)):
        if case.target == EMPTY:
            empty = case
            continue
        share = ratio(case, empty) if empty else None
        if empty and share:
            line = (
                f"{case.target:14} {case.size:6} {per_s(case).median:12,.0f} {per_s(empty).median:13,.0f}"
                f"       {share.median:.2f} ({share.low:.2f}-{share.high:.2f})    {p99_ms(case).median:7.2f}"
            )
            console.print(line if share.median >= LEAST else f"[red]{line}[/]", highlight=False)


@contextmanager
def cluster_with_space(events: int) -> Iterator[PostgresCluster]:
    """Start PostgreSQL where there is room for so many events."""
    free, needed = shutil.disk_usage(tempfile.gettempdir()).free, needed_bytes(events)
    if free < needed:
        raise click.ClickException(
            f"{events:,} events need {needed / 2**30:.0f} GiB of disk, and {tempfile.gettempdir()} has "
            f"{free / 2**30:.0f} GiB left: ask for fewer --events, or point TMPDIR to a larger disk"
        )
    with servers.run_directory() as directory, servers.postgres(directory) as cluster:
        yield cluster


def _levels(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        levels = tuple(sorted(int(part) for part in value.split(",")))
    except ValueError as error:
        raise click.BadParameter("give whole numbers separated by commas") from error
    if any(level < _CHUNK or level % _CHUNK for level in levels):
        raise click.BadParameter(f"each is a multiple of {_CHUNK:,}")
    return levels


@click.command(epilog="Example: python -m tests.bench.append_decay --events 1000000,20000000 --json decay.json")
@click.option("--events", "levels", default="1000000", callback=_levels, show_default=True, help="levels, ascending")
@click.option("--rounds", default=5, show_default=True, help="rounds per level")
@click.option("--seconds", default=2.0, show_default=True, help="seconds per batch size and database in a round")
@click.option("--forced-checkpoints", "is_forced", is_flag=True, help="a checkpoint before every round: the worst case")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="write the figures there")
def main(levels: tuple[int, ...], rounds: int, seconds: float, *, is_forced: bool, json_path: Path | None) -> None:
    """Measure the append call on an empty log and on logs of so many EVENTS, by turns."""
    console = Console(soft_wrap=True)
    with cluster_with_space(levels[-1]) as cluster:
        run(cluster.execute("ALTER SYSTEM SET autovacuum = off"))  # its visits would fall on one database or the other
        run(cluster.execute("SELECT pg_reload_conf()"))
        recycle_wal(cluster, _WAL_SEGMENTS)
        report = measure_all(cluster, levels, rounds, seconds, console, is_forced=is_forced)
    show(console, report.cases)
    if json_path:
        json_path.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
        console.print(f"wrote {json_path}", highlight=False)


if __name__ == "__main__":
    main()
