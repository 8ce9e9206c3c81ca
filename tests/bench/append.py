"""How fast is the append call alone? One connection, everything in it: lock, checks, events, answers, ledger, commit.

    python -m tests.bench.append $(python -m tests.bench.scratch postgresql://admin:...@localhost/postgres)

The database is written to, so it must be migrated and empty, which `tests.bench.scratch` makes. Beside our figure
stands the raw limit of the same server in the same round: rows of the same size with a primary key, inserted by one
statement per batch, nothing else. Part of `python -m tests.bench` as the suite `append`.
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import asyncpg
import click
import uvloop

from infra.clock import new_id, now
from infra.event_store.append_batch import append_batch
from infra.event_store.protocol import AppendCommand, NewEvent
from infra.postgres.connection import Connection
from tests.bench.model import Case, Run
from tests.bench.scratch import refuse_unless_scratch
from tests.bench.stats import latency_of, p50_ms, p99_ms, per_s, ratio

BATCHES: Final = (1, 10, 50, 100, 500)
_RAW_TABLE: Final = "CREATE TABLE IF NOT EXISTS public.bench_raw (id uuid PRIMARY KEY, row bytea)"
_RAW_INSERT: Final = "INSERT INTO public.bench_raw SELECT * FROM unnest($1::uuid[], $2::bytea[])"

Send = Callable[[int], Awaitable[float]]
"""Sends one batch of that many and gives the seconds the call took."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of one event and of one recorded answer."""

    event: int
    answer: int


SMALL: Final = Sizes(530, 680)
"""What the target of docs/benchmarks.md speaks of; the benchmark's order of three lines stores about twice as much."""


async def append_round(
    url: str, sizes: Sizes, batches: tuple[int, ...], seconds: float, in_round: int
) -> list[tuple[int, Run, Run]]:
    """Measure every batch size once; give (size, our call, bare insert).

    `url` is of a role that may append and create tables; `seconds` is the window of each measurement.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_RAW_TABLE)
        ours, raw = sending(connection, sizes), _inserting(connection, sizes)
        return [
            (size, await run(ours, size, seconds, in_round), await run(raw, size, seconds / 2, in_round))
            for size in batches
        ]
    finally:
        await connection.close()


def a_create(sizes: Sizes) -> AppendCommand:
    """Return a command like the creation of an order, with a random key as clients send them."""
    event = NewEvent(new_id(), "order.created", 1, now(), b"p" * sizes.event, "api_key:abcd1234", secrets.token_hex(8))
    return AppendCommand(
        tenant_id="acme.test",
        key=secrets.token_hex(16),
        fingerprint=b"f" * 32,
        stream_id=new_id(),
        stream_type="order",
        expected_version=0,
        events=(event,),
        status=201,
        response=b"r" * sizes.answer,
    )


def sending(connection: Connection, sizes: Sizes) -> Send:
    """Return what appends creates of these sizes; the time is of the call alone, without the making of the commands."""

    async def send(size: int) -> float:
        commands = [a_create(sizes) for _ in range(size)]
        started_s = time.perf_counter()
        await append_batch(connection, commands)
        return time.perf_counter() - started_s

    return send


def _inserting(connection: Connection, sizes: Sizes) -> Send:
    row = b"x" * (sizes.event + sizes.answer)

    async def send(size: int) -> float:
        ids, rows = [new_id() for _ in range(size)], [row] * size
        started_s = time.perf_counter()
        await connection.execute(_RAW_INSERT, ids, rows)
        return time.perf_counter() - started_s

    return send


async def run(send: Send, size: int, seconds: float, in_round: int) -> Run:
    """Send batches for a while, one at least; the rate is of the calls alone, without the making of the commands."""
    await send(size)
    took_s: list[float] = []
    end_s = time.perf_counter() + seconds
    while not took_s or time.perf_counter() < end_s:
        took_s.append(await send(size))
    done, busy_s = size * len(took_s), sum(took_s)
    return Run(
        round=in_round, seconds=round(busy_s, 4), done=done, per_s=round(done / busy_s, 2), latency=latency_of(took_s)
    )


async def _rounds(url: str, rounds: int, seconds: float) -> list[tuple[Case, Case]]:
    measured = [await append_round(url, SMALL, BATCHES, seconds, number) for number in range(rounds)]
    pairs: list[tuple[Case, Case]] = []
    for index, size in enumerate(BATCHES):
        ours = tuple(each[index][1] for each in measured)
        raw = tuple(each[index][2] for each in measured)
        pairs.append(
            (
                Case(suite="append", target="append", size=size, runs=ours),
                Case(suite="append", target="insert", size=size, runs=raw),
            )
        )
    return pairs


def _line(ours: Case, raw: Case) -> str:
    rate, share = per_s(ours), ratio(ours, raw)
    spread = f"({rate.low:,.0f}-{rate.high:,.0f})"
    return (
        f"{ours.size:5}   {rate.median:8,.0f} {spread:18} {p50_ms(ours).median:7.2f}  {p99_ms(ours).median:7.2f}   "
        f"{per_s(raw).median:10,.0f}   {share.median if share else 0:6.2f}"
    )


_EPILOG: Final = """\b
Example:
  python -m tests.bench.append $(python -m tests.bench.scratch postgresql://admin:secret@localhost:5432/postgres)
"""


@click.command(epilog=_EPILOG)
@click.argument("url")
@click.option("--runs", default=5, show_default=True, help="runs per batch size")
@click.option("--seconds", default=2.0, show_default=True, help="seconds per run")
def main(url: str, runs: int, seconds: float) -> None:
    """Measure the append call in the scratch database at URL, an administrator's address."""
    refuse_unless_scratch(url)
    pairs = uvloop.run(_rounds(url, runs, seconds))
    click.echo("batch   commands/s (range)           p50 ms   p99 ms   raw rows/s   of raw")
    for ours, raw in pairs:
        click.echo(_line(ours, raw))


if __name__ == "__main__":
    main()
