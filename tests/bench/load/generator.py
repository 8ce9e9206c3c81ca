"""The load generator: a process of its own, so that it shares neither the service's process nor its event loop.

    echo '{...}' | python -m tests.bench.load.generator     a `LoadPlan` on standard input, a `LoadResult` on output

Every result says how much of its one core it used; the suite `create` also measures an application that does nothing.
"""

import asyncio
import gc
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import uvloop

from tests.bench.load.loops import ClosedLoop, Connection, LoadError, LoadPlan, OpenLoop
from tests.bench.load.requests import source
from tests.bench.report.model import Frozen, Latency
from tests.bench.report.stats import latency_of

CHECKOUT: Final = Path(__file__).resolve().parents[3]


class LoadResult(Frozen):
    """What happened; the fields of `model.Run` have the same meaning. `sent` counts the warm-up too."""

    seconds: float
    done: int
    sent: int
    latency: Latency
    statuses: dict[int, int]
    late_p99_ms: float | None
    unanswered: int
    generator_cpu_s: float
    generator_share: float
    locations: tuple[str, ...]


async def generate(plan: LoadPlan) -> LoadResult:
    """Send what the plan says and return what happened.

    Raises:
        LoadError: the server cannot be reached, or a closed loop got no responses.
    """
    next_request = source(plan.requests)
    loop = OpenLoop(plan, next_request, plan.rate_per_s) if plan.rate_per_s else ClosedLoop(plan, next_request)
    ports = [plan.ports[number % len(plan.ports)] for number in range(plan.connections)]
    connections = [await _connect(port, loop) for port in ports]
    started_s, cpu_s = time.perf_counter(), time.process_time()
    seconds = await loop.run(connections)
    cpu_s, took_s = time.process_time() - cpu_s, time.perf_counter() - started_s
    for connection in connections:
        connection.close()
    return LoadResult(
        seconds=seconds,
        done=len(loop.tally.samples_s),
        sent=sum(loop.tally.statuses.values()),
        latency=latency_of(loop.tally.samples_s),
        statuses=dict(loop.tally.statuses),
        late_p99_ms=latency_of(loop.late_s).p99_ms if isinstance(loop, OpenLoop) else None,
        unanswered=loop.unanswered if isinstance(loop, OpenLoop) else 0,
        generator_cpu_s=cpu_s,
        generator_share=cpu_s / took_s,
        locations=tuple(loop.tally.locations),
    )


async def _connect(port: int, loop: ClosedLoop | OpenLoop) -> Connection:
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(loop.done, loop.lost), "127.0.0.1", port
        )
    except OSError as error:
        raise LoadError(f"port {port} does not answer: {error}") from error
    return connection


def run_generator(plan: LoadPlan) -> LoadResult:
    """Run a generator process to its end and return its result.

    Raises:
        LoadError: it failed.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench.load.generator"],
        cwd=CHECKOUT,
        input=plan.model_dump_json().encode(),
        capture_output=True,
        check=False,
    )
    if ended.returncode:
        raise LoadError(ended.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    return LoadResult.model_validate_json(ended.stdout)


if __name__ == "__main__":
    gc.disable()  # a process of a minute, which keeps little but numbers
    made = uvloop.run(generate(LoadPlan.model_validate_json(sys.stdin.buffer.read())))
    sys.stdout.write(made.model_dump_json())
