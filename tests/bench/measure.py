"""One measurement: send load to a target, and see what it cost the service and PostgreSQL."""

import re
import time
from collections.abc import Callable
from typing import Final
from urllib.request import urlopen

from tests.bench.load import LoadResult, run_generator
from tests.bench.loops import LoadError, LoadPlan
from tests.bench.model import Case, Run
from tests.bench.stack import BenchStack, Target

_IN_FLIGHT: Final = re.compile(r"^harbor_http_requests_in_flight (\S+)$", re.MULTILINE)
_BEGIN_S: Final = 10.0


def measure(stack: BenchStack, target: Target, plan: LoadPlan, in_round: int) -> tuple[Run, tuple[str, ...]]:
    """Run a plan against a target; give the run, and the Locations if the plan wants them.

    Raises:
        LoadError: the target does not answer.
    """
    service_s, postgres_s = target.cpu_s(), stack.postgres_cpu_s()
    result = run_generator(plan)
    service_s, postgres_s = target.cpu_s() - service_s, stack.postgres_cpu_s() - postgres_s
    used_s = {"service": service_s, "postgres": postgres_s, "generator": result.generator_cpu_s}
    commands = plan.requests.orders
    cpu_us = {name: round(cpu_s / max(result.sent * commands, 1) * 1e6, 2) for name, cpu_s in used_s.items()}
    return run_of(result, in_round, commands).model_copy(update={"cpu_us": cpu_us}), result.locations


def run_of(result: LoadResult, in_round: int, commands: int = 1) -> Run:
    """Return what a generator saw as a run, without what it cost; each of its requests carried so many `commands`."""
    return Run(
        round=in_round,
        seconds=round(result.seconds, 4),
        done=result.done * commands,
        per_s=round(result.done * commands / result.seconds, 2) if result.seconds > 0 else 0.0,
        latency=result.latency,
        statuses=result.statuses,
        late_p99_ms=result.late_p99_ms,
        unanswered=result.unanswered,
        generator_share=round(result.generator_share, 3),
    )


def wait_for_requests(target: Target, count: int, has_ended: Callable[[], bool]) -> None:
    """Return when a target has so many requests under way, or when the generator that sends them has ended.

    Raises:
        LoadError: neither happened.
    """
    deadline_s = time.monotonic() + _BEGIN_S
    while sum(_in_flight(port) for port in target.ports) < count and not has_ended():
        if time.monotonic() > deadline_s:
            raise LoadError(f"fewer than {count} requests under way after {_BEGIN_S:g} s")
        time.sleep(0.02)


def _in_flight(port: int) -> int:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_BEGIN_S) as answer:
        found = _IN_FLIGHT.search(answer.read().decode())
    return int(float(found[1])) if found else 0


class Cases:
    """Collects runs into cases, in the order in which the cases first appeared."""

    def __init__(self) -> None:
        self._cases: dict[tuple[str, str, int, float | None], Case] = {}

    def add(self, suite: str, target: str, size: int, run: Run, offered_per_s: float | None = None) -> None:
        """Add one run; rounds of an open loop may offer slightly different rates, the first one names the case."""
        key = (suite, target, size, offered_per_s)
        known = self._cases.get(key)
        runs = (*known.runs, run) if known else (run,)
        self._cases[key] = Case(suite=suite, target=target, size=size, runs=runs, offered_per_s=offered_per_s)

    def get(self, suite: str, target: str, size: int) -> Case | None:
        """Return the closed-loop case as far as it is measured."""
        return self._cases.get((suite, target, size, None))

    @property
    def all(self) -> tuple[Case, ...]:
        """Every case."""
        return tuple(self._cases.values())
