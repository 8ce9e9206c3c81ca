"""One invocation of the benchmark: the servers it uses, and how each kind of measurement is taken and kept."""

from concurrent.futures import Future, ThreadPoolExecutor

import uvloop

from tests.bench.append import BATCHES, Sizes, append_round
from tests.bench.append_profile import SIZES, profile
from tests.bench.load import LoadResult, run_generator
from tests.bench.loops import LoadError, LoadPlan
from tests.bench.measure import Cases, measure, run_of, wait_for_requests
from tests.bench.model import Part, Run
from tests.bench.orders import RequestPlan
from tests.bench.pace import Pace
from tests.bench.progress import Steps
from tests.bench.stack import TITLES, BenchStack, Target, TargetError
from tests.support.services.servers import run

INSIDE_S = 15.0
"""About how long `Bench.inside_append` takes."""
_NO_END_S = 60.0
"""The window of a plan that ends when its listed requests are used up."""


class Bench:
    """One invocation: the servers, the numbers, what was measured so far, and what could not be."""

    def __init__(self, stack: BenchStack, pace: Pace, steps: Steps) -> None:
        self.stack = stack
        self.pace = pace
        self.cases = Cases()
        self.left_out: dict[str, str] = {}
        self.inside: tuple[Part, ...] = ()
        self._steps = steps
        self._append_url: str | None = None

    def say(self, text: str) -> None:
        """Tell the person who waits."""
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
        plan = LoadPlan(
            ports=target.ports,
            connections=connections,
            warmup_s=self.pace.warmup_s,
            seconds=self.pace.seconds,
            requests=requests,
        )
        self._note(suite, target, plan, in_round)

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
        run_in_background = LoadPlan(
            ports=target.ports,
            connections=connections,
            warmup_s=0.0,
            seconds=opened.warmup_s + opened.seconds + self.pace.lead_s,
            requests=requests,
            rate_per_s=beside_per_s,
        )
        under_way = 1 if beside_per_s else connections // 2
        with ThreadPoolExecutor(1) as thread:
            other = thread.submit(run_generator, run_in_background)
            try:
                wait_for_requests(target, under_way, other.done)
                measured, _ = measure(self.stack, target, opened, in_round)
                measured_beside = run_of(_outlasting(other), in_round)
            except LoadError as error:
                self._fail(suite, target, opened, error)
                return
        # The service's CPU is that of both, so it says nothing about either.
        self._keep(suite, target, opened, measured.model_copy(update={"cpu_us": {}}), _planned_s(opened))
        self._keep(suite_beside, target, run_in_background, measured_beside, self.pace.lead_s)

    def listed(
        self, suite: str, target: Target, connections: int, requests: RequestPlan, in_round: int
    ) -> tuple[str, ...]:
        """Send listed requests once and give the Locations; the first tenth of a second warms up."""
        plan = LoadPlan(
            ports=target.ports,
            connections=connections,
            warmup_s=0.1 if suite else 0.0,
            seconds=_NO_END_S,
            requests=requests,
            wants_locations=not suite,
        )
        if suite:
            return self._note(suite, target, plan, in_round, planned_s=1.0)
        measured, locations = measure(self.stack, target, plan, in_round)
        if measured.failed:
            raise LoadError(f"{measured.failed} of {len(requests.listed)} orders could not be made beforehand")
        return locations

    def append(self, sizes: Sizes, suffix: str, in_round: int) -> None:
        """Measure the append call alone, and the bare insert beside it."""
        if self._append_url is None:
            database = run(self.stack.cluster.create_database())
            self._append_url = database.admin_url
        seconds = self.pace.appends_s
        for size, ours, raw in uvloop.run(append_round(self._append_url, sizes, BATCHES, seconds, in_round)):
            self.cases.add("append", f"append{suffix}", size, ours)
            self.cases.add("append", f"insert{suffix}", size, raw)
            self._tell(f"append call{suffix}, {size} commands each", ours, seconds * 1.5)

    def inside_append(self) -> None:
        """Measure the statements of the append function."""
        database = run(self.stack.cluster.create_database())
        self.stack.execute(
            "CHECKPOINT"
        )  # what the measurement before this one left to be written would slow its commits
        self.inside = uvloop.run(profile(database.admin_url))
        (whole,) = (part.us for part in self.inside if (part.name, part.size) == ("the whole call", SIZES[0]))
        self._steps.done(f"inside the append function: [bold]{whole:,.0f} µs[/] a call of one", INSIDE_S)

    def _note(
        self, suite: str, target: Target, plan: LoadPlan, in_round: int, planned_s: float | None = None
    ) -> tuple[str, ...]:
        try:
            measured, locations = measure(self.stack, target, plan, in_round)
        except LoadError as error:
            self._fail(suite, target, plan, error)
            return ()
        self._keep(suite, target, plan, measured, planned_s or _planned_s(plan))
        return locations

    def _keep(self, suite: str, target: Target, plan: LoadPlan, measured: Run, planned_s: float) -> None:
        self.cases.add(suite, target.name, plan.connections, measured, plan.rate_per_s)
        offered = f"{plan.rate_per_s:,.0f}/s offered" if plan.rate_per_s else f"{plan.connections} connections"
        self._tell(f"{suite}: {TITLES[target.name]}, {offered}", measured, planned_s)

    def _open_plan(self, target: Target, rate_per_s: float, seconds: float) -> LoadPlan:
        return LoadPlan(
            ports=target.ports,
            connections=self.pace.open_connections,
            warmup_s=self.pace.warmup_s,
            seconds=seconds,
            requests=RequestPlan(api_key=target.api_key),
            rate_per_s=rate_per_s,
        )

    def _fail(self, suite: str, target: Target, plan: LoadPlan, error: LoadError) -> None:
        self.left_out[f"{suite}, {target.name}, {plan.connections}"] = str(error)
        self.say(f"[red]failed[/]: {suite}, {TITLES[target.name]}, {plan.connections} connections: {error}")

    def _tell(self, what: str, measured: Run, planned_s: float) -> None:
        failed = f"  [red]{measured.failed} FAILED {measured.statuses}[/]" if measured.failed else ""
        latency = f"p50 {measured.latency.p50_ms:.2f} ms, p99 {measured.latency.p99_ms:.2f} ms"
        self._steps.done(f"{what}: [bold]{measured.per_s:,.0f}/s[/], {latency}{failed}", planned_s)


def _planned_s(plan: LoadPlan) -> float:
    return plan.warmup_s + plan.seconds + 0.5


def _outlasting(generator: Future[LoadResult]) -> LoadResult:
    """Return the result of a generator that still ran a moment ago.

    Raises:
        LoadError: it failed, or had ended before: then what was measured beside it was alone for a while.
    """
    has_ended = generator.done()
    result = generator.result()
    if has_ended:
        raise LoadError("the load beside it ended first")
    return result
