"""One measurement: send load to a target, and see what it cost the service and PostgreSQL."""

from tests.bench.load import run_generator
from tests.bench.loops import LoadPlan
from tests.bench.model import Case, Run
from tests.bench.stack import BenchStack, Target


def measure(stack: BenchStack, target: Target, plan: LoadPlan, in_round: int) -> tuple[Run, tuple[str, ...]]:
    """Run a plan against a target; give the run, and the Locations if the plan wants them.

    Raises:
        LoadError: the target does not answer.
    """
    service_s, postgres_s = target.cpu_s(), stack.postgres_cpu_s()
    result = run_generator(plan)
    service_s, postgres_s = target.cpu_s() - service_s, stack.postgres_cpu_s() - postgres_s
    commands = plan.requests.orders
    used_s = {"service": service_s, "postgres": postgres_s, "generator": result.generator_cpu_s}
    run = Run(
        round=in_round,
        seconds=round(result.seconds, 4),
        done=result.done * commands,
        per_s=round(result.done * commands / result.seconds, 2) if result.seconds > 0 else 0.0,
        latency=result.latency,
        statuses=result.statuses,
        late_p99_ms=result.late_p99_ms,
        unanswered=result.unanswered,
        cpu_us={name: round(cpu_s / max(result.sent * commands, 1) * 1e6, 2) for name, cpu_s in used_s.items()},
        generator_share=round(result.generator_share, 3),
    )
    return run, result.locations


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
        """Give the closed-loop case as far as it is measured."""
        return self._cases.get((suite, target, size, None))

    @property
    def all(self) -> tuple[Case, ...]:
        """Every case."""
        return tuple(self._cases.values())
