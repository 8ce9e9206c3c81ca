"""One invocation of the benchmark: the servers it uses, and how each kind of measurement is taken and kept."""

import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final
from urllib.request import urlopen

import uvloop

from tests.bench.append_call import BATCHES, Sizes, append_round
from tests.bench.load.generator import LoadResult, run_generator
from tests.bench.load.loops import LoadError, LoadPlan
from tests.bench.load.requests import RequestPlan
from tests.bench.pace import Pace
from tests.bench.progress import Steps
from tests.bench.report.model import Case, Run
from tests.bench.stack import BenchStack, Target, TargetError, title
from tests.support.services.servers import run

_NO_END_S: Final = 60.0
"""The window of a plan that ends when its listed requests are used up."""
_IN_FLIGHT: Final = re.compile(r"^harbor_http_requests_in_flight (\S+)$", re.MULTILINE)
_BEGIN_S: Final = 10.0


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


class Bench:
    """One invocation: the servers, the numbers, what was measured so far, and what could not be."""

    def __init__(self, stack: BenchStack, pace: Pace, steps: Steps) -> None:
        self.stack = stack
        self.pace = pace
        self.cases = Cases()
        self.left_out: dict[str, str] = {}
        self._steps = steps
        self._append_url: str | None = None

    def say(self, text: str) -> None:
        """Print something for the person who waits."""
        self._steps.say(text)

    def target(self, name: str) -> Target | None:
        """Return a running target; None, and a line that says why, when it cannot run here."""
        if name in self.left_out:
            return None
        try:
            return self.stack.target(name)
        except TargetError as error:
            self.left_out[name] = str(error)
            self.say(f"left out: {error}")
            return None

    def closed(self, suite: str, target: Target, connections: int, requests: RequestPlan, in_round: int) -> None:
        """Measure a closed loop of endless requests for the window of the pace."""
        self._note(suite, target, self._plan(target, connections, requests), in_round)

    def open(self, suite: str, target: Target, rate_per_s: float, seconds: float, in_round: int) -> None:
        """Measure an open loop of creates."""
        self._note(suite, target, self._open_plan(target, rate_per_s, seconds), in_round)

    def open_beside(
        self,
        suites: tuple[str, str],
        target: Target,
        rate_per_s: float,
        connections: int,
        requests: RequestPlan,
        in_round: int,
        beside_per_s: float | None = None,
    ) -> None:
        """Measure an open loop of creates while a second generator sends `requests`, in a closed loop or at a rate.

        `suites` names what the two did, in this order.
        """
        suite, suite_beside = suites
        opened = self._open_plan(target, rate_per_s, self.pace.seconds)
        beside = LoadPlan(
            ports=target.ports,
            connections=connections,
            warmup_s=0.0,
            seconds=opened.warmup_s + opened.seconds + self.pace.lead_s,
            requests=requests,
            rate_per_s=beside_per_s,
        )
        with ThreadPoolExecutor(1) as thread:
            other = thread.submit(run_generator, beside)
            try:
                _wait_for_requests(target, 1 if beside_per_s else connections // 2, other.done)
                measured = measure(self.stack, target, opened, in_round)
                measured_beside = _run_of(_outlasting(other), in_round)
            except LoadError as error:
                self._fail(suite, target, opened, error)
                return
        # The service's CPU is that of both, so it says nothing about either.
        self._keep(suite, target, opened, measured.model_copy(update={"cpu_us": {}}), _planned_s(opened))
        self._keep(suite_beside, target, beside, measured_beside, self.pace.lead_s)

    def listed(self, suite: str, target: Target, connections: int, requests: RequestPlan, in_round: int) -> None:
        """Measure listed requests, each sent once; the first tenth of a second warms up."""
        plan = self._plan(target, connections, requests).model_copy(update={"warmup_s": 0.1, "seconds": _NO_END_S})
        self._note(suite, target, plan, in_round, planned_s=1.0)

    def make(self, target: Target, connections: int, requests: RequestPlan) -> tuple[str, ...]:
        """Send listed creates, unmeasured, and return the Locations of the orders.

        Raises:
            LoadError: some could not be made.
        """
        update = {"warmup_s": 0.0, "seconds": _NO_END_S, "wants_locations": True}
        made = run_generator(self._plan(target, connections, requests).model_copy(update=update))
        failed = _run_of(made, 0).failed
        if failed:
            raise LoadError(f"{failed} of {len(requests.listed)} orders could not be made beforehand: {made.statuses}")
        return made.locations

    def append(self, sizes: Sizes, suffix: str, in_round: int) -> None:
        """Measure the append call alone, and the bare insert beside it."""
        if self._append_url is None:
            self._append_url = run(self.stack.cluster.create_database()).admin_url
        seconds = self.pace.appends_s
        for size, ours, raw in uvloop.run(append_round(self._append_url, sizes, BATCHES, seconds, in_round)):
            self.cases.add("append", f"append{suffix}", size, ours)
            self.cases.add("append", f"insert{suffix}", size, raw)
            self._report(f"append call{suffix}, {size} commands each", ours, seconds * 1.5)

    def _note(self, suite: str, target: Target, plan: LoadPlan, in_round: int, planned_s: float | None = None) -> None:
        try:
            measured = measure(self.stack, target, plan, in_round)
        except LoadError as error:
            self._fail(suite, target, plan, error)
        else:
            self._keep(suite, target, plan, measured, planned_s or _planned_s(plan))

    def _keep(self, suite: str, target: Target, plan: LoadPlan, measured: Run, planned_s: float) -> None:
        self.cases.add(suite, target.name, plan.connections, measured, plan.rate_per_s)
        offered = f"{plan.rate_per_s:,.0f}/s offered" if plan.rate_per_s else f"{plan.connections} connections"
        self._report(f"{suite}: {title(target.name)}, {offered}", measured, planned_s)

    def _plan(self, target: Target, connections: int, requests: RequestPlan) -> LoadPlan:
        return LoadPlan(
            ports=target.ports,
            connections=connections,
            warmup_s=self.pace.warmup_s,
            seconds=self.pace.seconds,
            requests=requests,
        )

    def _open_plan(self, target: Target, rate_per_s: float, seconds: float) -> LoadPlan:
        plan = self._plan(target, self.pace.open_connections, RequestPlan(api_key=target.api_key))
        return plan.model_copy(update={"seconds": seconds, "rate_per_s": rate_per_s})

    def _fail(self, suite: str, target: Target, plan: LoadPlan, error: LoadError) -> None:
        self.left_out[f"{suite}, {target.name}, {plan.connections}"] = str(error)
        self.say(f"[red]failed[/]: {suite}, {title(target.name)}, {plan.connections} connections: {error}")

    def _report(self, what: str, measured: Run, planned_s: float) -> None:
        failed = f"  [red]{measured.failed} FAILED {measured.statuses}[/]" if measured.failed else ""
        latency = f"p50 {measured.latency.p50_ms:.2f} ms, p99 {measured.latency.p99_ms:.2f} ms"
        self._steps.done(f"{what}: [bold]{measured.per_s:,.0f}/s[/], {latency}{failed}", planned_s)


def measure(stack: BenchStack, target: Target, plan: LoadPlan, in_round: int) -> Run:
    """Run a plan against a target; return the run with its costs.

    Raises:
        LoadError: the target does not answer.
    """
    service_s, postgres_s = target.cpu_s(), stack.postgres_cpu_s()
    result = run_generator(plan)
    service_s, postgres_s = target.cpu_s() - service_s, stack.postgres_cpu_s() - postgres_s
    used_s = {"service": service_s, "postgres": postgres_s, "generator": result.generator_cpu_s}
    commands = plan.requests.orders
    cpu_us = {name: round(cpu_s / max(result.sent * commands, 1) * 1e6, 2) for name, cpu_s in used_s.items()}
    return _run_of(result, in_round, commands).model_copy(update={"cpu_us": cpu_us})


def _run_of(result: LoadResult, in_round: int, commands: int = 1) -> Run:
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


def _outlasting(generator: Future[LoadResult]) -> LoadResult:
    """Return the result of a generator that is still running.

    Raises:
        LoadError: it failed, or had ended: then what was measured beside it was alone for a while.
    """
    has_ended = generator.done()
    result = generator.result()
    if has_ended:
        raise LoadError("the load beside it ended first")
    return result


def _wait_for_requests(target: Target, count: int, has_ended: Callable[[], bool]) -> None:
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
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_BEGIN_S) as response:
        found = _IN_FLIGHT.search(response.read().decode())
    return int(float(found[1])) if found else 0


def _planned_s(plan: LoadPlan) -> float:
    return plan.warmup_s + plan.seconds + 0.5
