"""How fast is the append call alone? One connection, everything in it; medians over several runs.

    python -m tests.bench.append postgresql://admin:...@localhost/scratch

The database must be migrated (`python -m infra.postgres.migrate`) and is written to. Beside our figure stands the raw
limit of the same server in the same run: rows of the same size with a primary key, inserted by one statement per batch,
nothing else.
"""

import secrets
import statistics
import sys
from collections.abc import Awaitable, Callable

import asyncpg
import click
import uvloop

from infra.clock import monotonic_s, new_id, now
from infra.events import AppendCommand, NewEvent
from infra.postgres.append_batch import append_batch

BATCHES = (1, 10, 50, 100, 200)
ROW_BYTES = 1210  # payload and response together
RAW_TABLE = "CREATE TABLE harbor_bench_raw (id uuid PRIMARY KEY, row bytea)"
RAW_INSERT = "INSERT INTO harbor_bench_raw SELECT * FROM unnest($1::uuid[], $2::bytea[])"


def a_create() -> AppendCommand:
    """Give a command like the creation of an order of three lines, with a random key as clients send them."""
    event = NewEvent(new_id(), "order.created", 1, now(), b"p" * 530, "api_key:abcd1234", secrets.token_hex(8))
    return AppendCommand(
        "acme.test", secrets.token_hex(16), b"f" * 32, new_id(), "order", 0, (event,), 201, b"r" * (ROW_BYTES - 530)
    )


async def measure(send: Callable[[int], Awaitable[float]], size: int, seconds: float) -> list[float]:
    """Call `send` with batches of `size` for some seconds; give the seconds each call took."""
    took: list[float] = []
    end = monotonic_s() + seconds
    while monotonic_s() < end:
        took.append(await send(size))
    return took


async def bench(url: str, runs: int, seconds: float) -> None:
    """Print one line per batch size: commands/s (median, range of the runs), p50 and p99 of a call, the raw limit."""
    connection = await asyncpg.connect(url)
    await connection.execute(RAW_TABLE)

    async def ours(size: int) -> float:
        commands = [a_create() for _ in range(size)]
        started = monotonic_s()
        await append_batch(connection, commands)
        return monotonic_s() - started

    async def raw(size: int) -> float:
        ids, rows = [new_id() for _ in range(size)], [b"x" * ROW_BYTES] * size
        started = monotonic_s()
        await connection.execute(RAW_INSERT, ids, rows)
        return monotonic_s() - started

    click.echo("batch   commands/s (range)           p50 ms   p99 ms   raw rows/s   of raw")
    try:
        for size in BATCHES:
            calls = [await measure(ours, size, seconds) for _ in range(runs)]
            limit = [await measure(raw, size, seconds / 2) for _ in range(runs)]
            click.echo(line(size, calls, limit))
    finally:
        await connection.execute("DROP TABLE harbor_bench_raw")
        await connection.close()


def line(size: int, calls: list[list[float]], limit: list[list[float]]) -> str:
    """Give one line of the table."""
    rates = sorted(size / statistics.mean(run) for run in calls)
    raw_rate = statistics.median(size / statistics.mean(run) for run in limit)
    every = sorted(took for run in calls for took in run)
    rate = statistics.median(rates)
    spread = f"({rates[0]:,.0f}-{rates[-1]:,.0f})"
    p50_ms, p99_ms = every[len(every) // 2] * 1e3, every[int(len(every) * 0.99)] * 1e3
    return (
        f"{size:5}   {rate:8,.0f} {spread:18} {p50_ms:7.2f}  {p99_ms:7.2f}   {raw_rate:10,.0f}   {rate / raw_rate:6.2f}"
    )


@click.command(epilog="Example: python -m tests.bench.append postgresql://admin:secret@localhost:5432/scratch")
@click.argument("url")
@click.option("--runs", default=5, show_default=True, help="runs per batch size")
@click.option("--seconds", default=2.0, show_default=True, help="seconds per run")
def main(url: str, runs: int, seconds: float) -> None:
    """Measure the append call in the database at URL."""
    uvloop.run(bench(url, runs, seconds))


if __name__ == "__main__":
    sys.exit(main())
