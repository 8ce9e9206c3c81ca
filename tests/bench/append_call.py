"""How fast is the append call alone? One connection, everything in it: lock, checks, events, responses, ledger, commit.

Beside it stands the raw limit of the same server in the same round: rows of the same size with a primary key, inserted
by one statement per batch, nothing else.
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import asyncpg

from infra.clock import new_id, now
from infra.event_store.append_batch import append_batch
from infra.event_store.protocol import AppendCommand, NewEvent
from infra.postgres.connection import Connection
from tests.bench.report.model import Run
from tests.bench.report.stats import latency_of

BATCHES: Final = (1, 10, 50, 100, 500)
_RAW_TABLE: Final = "CREATE TABLE IF NOT EXISTS public.bench_raw (id uuid PRIMARY KEY, row bytea)"
_RAW_INSERT: Final = "INSERT INTO public.bench_raw SELECT * FROM unnest($1::uuid[], $2::bytea[])"

Send = Callable[[int], Awaitable[float]]
"""Sends one batch of that many and returns the seconds the call took."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of one event and of one recorded response."""

    event: int
    response: int


SMALL: Final = Sizes(530, 680)
"""What the target in docs/benchmarks.md is about; the benchmark's order of three lines stores about twice as much."""


async def append_round(
    url: str, sizes: Sizes, batches: tuple[int, ...], seconds: float, in_round: int
) -> list[tuple[int, Run, Run]]:
    """Measure every batch size once; return (size, our call, bare insert).

    `url` is of a role that may append and create tables; `seconds` is the window of each measurement.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_RAW_TABLE)
        ours, raw = _appending(connection, sizes), _inserting(connection, sizes)
        return [
            (size, await _run(ours, size, seconds, in_round), await _run(raw, size, seconds / 2, in_round))
            for size in batches
        ]
    finally:
        await connection.close()


def _a_create(sizes: Sizes) -> AppendCommand:
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
        response=b"r" * sizes.response,
    )


def _appending(connection: Connection, sizes: Sizes) -> Send:
    """Return what appends creates of these sizes; the time is of the call alone, without the making of the commands."""

    async def send(size: int) -> float:
        commands = [_a_create(sizes) for _ in range(size)]
        started_s = time.perf_counter()
        await append_batch(connection, commands)
        return time.perf_counter() - started_s

    return send


def _inserting(connection: Connection, sizes: Sizes) -> Send:
    row = b"x" * (sizes.event + sizes.response)

    async def send(size: int) -> float:
        ids, rows = [new_id() for _ in range(size)], [row] * size
        started_s = time.perf_counter()
        await connection.execute(_RAW_INSERT, ids, rows)
        return time.perf_counter() - started_s

    return send


async def _run(send: Send, size: int, seconds: float, in_round: int) -> Run:
    """Send batches for a while, one at least; the rate is of the calls alone."""
    await send(size)
    took_s: list[float] = []
    end_s = time.perf_counter() + seconds
    while not took_s or time.perf_counter() < end_s:
        took_s.append(await send(size))
    done, busy_s = size * len(took_s), sum(took_s)
    return Run(
        round=in_round, seconds=round(busy_s, 4), done=done, per_s=round(done / busy_s, 2), latency=latency_of(took_s)
    )
