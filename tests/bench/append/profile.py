"""Where does the time of one append call go? Statement by statement inside the server, and around it.

    python -m tests.bench.append.profile

PostgreSQL says how long the whole function took (EXPLAIN ANALYZE) but nothing about its statements, so those figures
come from a copy that reads the clock before and after each (`marks`); a reading costs some tenths of a microsecond.
Buffers are counted in calls of their own, since counting takes longer than the statements.
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Final

import asyncpg
import click
import uvloop
from rich.console import Console

from infra.event_store.append_batch import SQL, append_batch, arguments
from infra.event_store.protocol import AppendCommand
from infra.postgres.connection import Connection
from infra.postgres.pool import session_settings
from tests.bench.append.call import a_create
from tests.bench.append.marks import BLOCKS, CLOCK, MARKED, READ_MARKS, marked
from tests.bench.report.model import Part
from tests.bench.report.tables import WIDTH_OF_FILES, inside, show
from tests.support.services import servers
from tests.support.services.servers import run

SIZES: Final = (1, 10, 100, 500)
_DEFINITION: Final = "SELECT pg_get_functiondef('harbor.append_batch'::regproc)"
_EXPLAINED: Final = f"EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING OFF, FORMAT json) {SQL}"
_COMMANDS: Final = 8000
"""Commands per batch size and kind of measurement: a call each for so many, but at least 30 and at most 400 calls."""
_WARM: Final = 20
_COUNTED: Final = 20


async def profile(url: str, sizes: Sequence[int] = SIZES) -> tuple[Part, ...]:
    """Return the parts of a call for every batch size; `url` is the administrator's of an empty database."""
    connection = await asyncpg.connect(url, server_settings=session_settings("append-profile"))
    try:
        for _ in range(_WARM):
            await append_batch(connection, _batch(sizes[-1]))
        return tuple([part for size in sizes for part in await _parts(connection, size)])
    finally:
        await connection.close()


async def _parts(connection: Connection, size: int) -> list[Part]:
    calls = min(max(_COMMANDS // size, 30), 400)
    took_us = await _marks(connection, CLOCK, size, calls)
    blocks = await _marks(connection, BLOCKS, size, _COUNTED)
    function_us, touched = await _function(connection, size, calls)
    made_us, call_us, commit_us = await _around(connection, size, calls)
    parts = [
        Part(where="function", name=name, size=size, us=us, buffers=blocks[name] or None)
        for name, us in took_us.items()
    ]
    around = {
        "make the arguments (client)": made_us,
        "encode, send, bind, decode (client, server)": max(call_us - made_us - function_us - commit_us, 0.0),
        "the function": function_us,
        "commit": commit_us,
        "the whole call": call_us,
    }
    return parts + [
        Part(where="call", name=name, size=size, us=us, buffers=touched if name == "the function" else None)
        for name, us in around.items()
    ]


async def _marks(connection: Connection, measure: tuple[str, str, str], size: int, calls: int) -> dict[str, float]:
    """Return what each statement takes; those that the usual batch does not reach are left out."""
    copy = marked(await connection.fetchval(_DEFINITION), measure)
    await connection.execute(f"DROP FUNCTION IF EXISTS {MARKED}")
    await connection.execute(copy.sql)
    taken: dict[str, list[float]] = {}
    for number in range(_WARM + calls):
        await connection.fetch(SQL.replace("harbor.append_batch", MARKED), *arguments(0, _batch(size)))
        values = [int(text) for text in (await connection.fetchval(READ_MARKS)).split()]
        for name, value in zip(copy.names, values, strict=True):
            if value >= 0 and number >= _WARM:  # before that, plans are made
                taken.setdefault(name, []).append(value)
    return {name: _middle(values) for name, values in taken.items()}


async def _function(connection: Connection, size: int, calls: int) -> tuple[float, float]:
    """Return the microseconds and the buffers of the unchanged function."""
    took_us, touched = list[float](), list[float]()
    for _ in range(calls):
        (plan,) = json.loads(await connection.fetchval(_EXPLAINED, *arguments(0, _batch(size))))
        took_us.append(plan["Execution Time"] * 1e3)
        touched.append(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
    return _middle(took_us), _middle(touched)


async def _around(connection: Connection, size: int, calls: int) -> tuple[float, float, float]:
    """Return the microseconds of making the arguments, of the whole call, and of its commit."""
    made, whole, commits, empty = list[float](), list[float](), list[float](), list[float]()
    for _ in range(calls):
        batch, other = _batch(size), _batch(size)
        started_s = time.perf_counter()
        prepared = arguments(0, other)
        made.append(_since(started_s))
        started_s = time.perf_counter()
        await append_batch(connection, batch)
        whole.append(_since(started_s))
        await connection.execute("BEGIN")
        await connection.fetch(SQL, *prepared)
        commits.append(await _commit(connection))
        await connection.execute("BEGIN")
        empty.append(await _commit(connection))
    return _middle(made), _middle(whole), max(_middle(commits) - _middle(empty), 0.0)


async def _commit(connection: Connection) -> float:
    started_s = time.perf_counter()
    await connection.execute("COMMIT")
    return _since(started_s)


def _batch(size: int) -> list[AppendCommand]:
    return [a_create() for _ in range(size)]


def _since(started_s: float) -> float:
    return (time.perf_counter() - started_s) * 1e6


def _middle(values: Sequence[float]) -> float:
    """Return the mean of the middle half: the clock counts whole microseconds, so a median would be too coarse."""
    ordered, quarter = sorted(values), len(values) // 4
    return statistics.fmean(ordered[quarter : len(ordered) - quarter])


@click.command(epilog="Example: python -m tests.bench.append.profile")
def main() -> None:
    """Show where the time of an append call goes, by batch size; starts a PostgreSQL of its own."""
    with servers.run_directory(on_disk=True) as directory, servers.postgres(directory, settings="") as cluster:
        parts = uvloop.run(profile(run(cluster.create_database()).admin_url))
    show(Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES, soft_wrap=True), inside(parts))


if __name__ == "__main__":
    main()
