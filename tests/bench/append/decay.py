"""Does the append get slower as the log grows? The same call on a full log and on an empty one, in turn.

    python -m tests.bench.append.decay --events 1000000,20000000 --json decay.json

Starts a PostgreSQL of its own. The log is filled inside the server, into the real tables: the events of two weeks at an
even rate, a stream for each, and the responses of the last seven days under random keys, as in a system that has run
for a while. Payloads and responses have the sizes of `call.SMALL`.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import asyncpg
import click
import uvloop
from rich.console import Console

from tests.bench import machine
from tests.bench.append.call import SMALL, sending
from tests.bench.append.call import run as measured
from tests.bench.bench import Cases
from tests.bench.progress import Steps
from tests.bench.report.model import Case, Report, Run
from tests.bench.report.stats import p99_ms, per_s, ratio
from tests.bench.stack import recycle_wal, server_settings
from tests.support.services import servers
from tests.support.services.servers import PostgresCluster, run

BATCHES: Final = (1, 10, 100, 500)
LEAST: Final = 1 / 1.3
EMPTY: Final = "empty"
_CHUNK: Final = 100_000
_EVENT_BYTES: Final = 1800  # of disk, with indexes, stream and half a response
_WAL_SEGMENTS: Final = 64
_SPARE_BYTES: Final = 12 * 2**30  # WAL, what is appended while measuring, and the neighbours on the disk

# Everything of events $1+1 to $2 of $3, as if batches of 100 had written them; $4 is a payload, $5 a response.
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
            await connection.execute(_FILL, after, head, upto, b"p" * SMALL.event, b"r" * SMALL.response)
            rate = (head - begin) / (time.monotonic() - started_s)
            done = f"{head:,} of {upto:,}: {head / upto:4.0%}"
            left = f"{rate:,.0f} events/s, {(upto - head) / rate:,.0f} s left"
            console.print(f"[dim]filling {done}, {left}[/]", highlight=False)
    finally:
        await connection.close()


async def round_of(urls: dict[str, str], in_round: int, seconds: float) -> list[tuple[str, int, Run]]:
    """Measure every batch size once in every database, which take turns; return (name, size, run)."""
    names = sorted(urls, reverse=in_round % 2 == 1)
    connections = {name: await asyncpg.connect(urls[name]) for name in names}
    try:
        return [
            (name, size, await measured(sending(connections[name]), size, seconds, in_round))
            for size in BATCHES
            for name in names
        ]
    finally:
        for connection in connections.values():
            await connection.close()


def measure_all(
    cluster: PostgresCluster, levels: Sequence[int], rounds: int, seconds: float, console: Console, *, is_forced: bool
) -> Report:
    """Fill a log up to each level and measure there, between checkpoints or each time right after a forced one.

    After a checkpoint every page is written to the WAL whole at its first change: the worst moment of a large log. The
    round after the first checkpoint is not counted otherwise. The report says when it began and how busy the machine
    was then; the databases are dropped at the end.
    """
    facts = machine.describe(run(server_settings(cluster.server.url())))
    report = Report(started_at=machine.started_at(), machine=facts, is_quick=False)
    cases = Cases()
    full = run(cluster.create_database())
    steps = Steps(console, len(levels) * rounds * len(BATCHES) * 2 * seconds)
    for level in levels:
        uvloop.run(fill(full.admin_url, level, console))
        empty = run(cluster.create_database())
        urls = {EMPTY: empty.admin_url, f"{level:,}": full.admin_url}
        run(cluster.execute("CHECKPOINT"))
        if not is_forced:
            uvloop.run(round_of(urls, 0, seconds))
        for number in range(rounds):
            if is_forced:
                run(cluster.execute("CHECKPOINT"))
            for name, size, measured_run in uvloop.run(round_of(urls, number, seconds)):
                cases.add(f"decay at {level:,}", name, size, measured_run)
                steps.done(f"{name} events, {size} commands per call: {measured_run.per_s:,.0f}/s", seconds)
        run(cluster.drop_database(empty.name))
    run(cluster.drop_database(full.name))
    return report.model_copy(update={"cases": cases.all})


def show(console: Console, report: Report) -> None:
    """Print a line per level and batch size."""
    console.print("events          batch   commands/s     empty log   of empty (range)        p99 ms")
    for case in report.cases:
        empty = report.case(case.suite, EMPTY, case.size)
        share = ratio(case, empty)
        if case.target != EMPTY and empty and share:
            console.print(_line(case, empty), style="red" if share.median < LEAST else None, highlight=False)


def _line(case: Case, empty: Case) -> str:
    share = ratio(case, empty)
    shown = f"{share.median:.2f} ({share.low:.2f}-{share.high:.2f})" if share else ""
    rates = f"{per_s(case).median:12,.0f} {per_s(empty).median:13,.0f}"
    return f"{case.target:14} {case.size:6} {rates}       {shown}    {p99_ms(case).median:7.2f}"


@contextmanager
def cluster_with_space(events: int) -> Iterator[PostgresCluster]:
    """Start PostgreSQL on disk with the local stack's settings.

    Raises:
        ClickException: the disk is too small for a log of so many events.
    """
    needed, free = events * _EVENT_BYTES + _SPARE_BYTES, shutil.disk_usage(tempfile.gettempdir()).free
    if needed > free:
        raise click.ClickException(
            f"{events:,} events need about {needed / 2**30:.0f} GiB of disk, {tempfile.gettempdir()} has "
            f"{free / 2**30:.0f} GiB left: ask for fewer --events, or point TMPDIR to a larger disk"
        )
    with servers.run_directory(on_disk=True) as directory, servers.postgres(directory, settings="") as cluster:
        yield cluster


def _levels(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        levels = tuple(sorted(int(part) for part in value.split(",")))
    except ValueError as error:
        raise click.BadParameter("give whole numbers separated by commas") from error
    if any(level < _CHUNK or level % _CHUNK for level in levels):
        raise click.BadParameter(f"each is a multiple of {_CHUNK:,}")
    return levels


@click.command(epilog="Example: python -m tests.bench.append.decay --events 1000000,20000000 --json decay.json")
@click.option("--events", "levels", default="1000000", callback=_levels, show_default=True, help="levels, ascending")
@click.option("--rounds", default=5, show_default=True, help="rounds per level")
@click.option("--seconds", default=2.0, show_default=True, help="seconds per batch size and database in a round")
@click.option("--forced-checkpoints", "is_forced", is_flag=True, help="a checkpoint before every round: the worst case")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="write the figures there")
def main(levels: tuple[int, ...], rounds: int, seconds: float, *, is_forced: bool, json_path: Path | None) -> None:
    """Measure the append call on an empty log and on logs of so many EVENTS, in turn."""
    console = Console(soft_wrap=True)
    with cluster_with_space(levels[-1]) as cluster:
        run(cluster.execute("ALTER SYSTEM SET autovacuum = off"))  # its visits would fall on one database or the other
        run(cluster.execute("SELECT pg_reload_conf()"))
        recycle_wal(cluster, _WAL_SEGMENTS)
        report = measure_all(cluster, levels, rounds, seconds, console, is_forced=is_forced)
    show(console, report)
    if json_path:
        json_path.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
        console.print(f"wrote {json_path}", highlight=False)


if __name__ == "__main__":
    main()
