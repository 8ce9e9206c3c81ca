"""The results of a benchmark as data: written to JSON, turned into tables, verdicts and plots."""

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

OURS: Final = "harbor"
"""The target that peers are compared with."""
PROCESSES: Final = f"{OURS} x4"
WITH_FUNCTIONS: Final = "eventsourcing_functions"
"""The `eventsourcing` peer with the library's own functions in the database switched on."""
TITLES: Final = {
    OURS: "Harbor Orders",
    PROCESSES: "Harbor Orders, 4 processes",
    "group_commit": "raw ASGI + group commit",
    "empty": "empty ASGI app",
    "eventsourcing": "eventsourcing + FastAPI",
    WITH_FUNCTIONS: "eventsourcing + FastAPI, database functions",
    "crud": "FastAPI + SQLAlchemy CRUD",
}

HOT_WRITERS: Final = 200
HOT: Final = "hot"
"""Creates of other orders while that many writers are on one order."""
HOT_ORDER: Final = "hot order"
"""What those writers get."""
HOT_ALONE: Final = "hot alone"
"""The same creates with nothing beside them."""
HOT_CONTROL: Final = "hot control"
"""The same beside as many creates (`HOT_LOAD`) as there were commands on the hot order: the machine's load alone."""
HOT_LOAD: Final = "hot load"

NO_RESPONSE: Final = 0
"""Stands for a status where a connection ended before the response."""


class Frozen(BaseModel):
    """A closed record."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(Frozen):
    """How long the responses of one run took, in milliseconds."""

    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Run(Frozen):
    """One measurement.

    Attributes:
        round: runs of the same round took place one after the other, so they may be compared with each other.
        seconds: the measured window; the warm-up before it is not part of it.
        done: requests (or commands, where one call carries many) finished in the window.
        per_s: the same per second.
        latency: of requests or calls.
        statuses: how many responses had each HTTP status, warm-up included; 0: no response.
        late_p99_ms: open loop: how much later than intended the generator itself sent.
        unanswered: open loop: requests that had no response when the wait for them ended; they count in `latency`.
        cpu_us: CPU microseconds per request (or command, as above) of the service, PostgreSQL and the generator,
            warm-up included.
        generator_share: the generator's use of its one core, 0 to 1: near 1 it is what was measured.
    """

    round: int
    seconds: float
    done: int
    per_s: float
    latency: Latency
    statuses: dict[int, int] = {}
    late_p99_ms: float | None = None
    unanswered: int = 0
    cpu_us: dict[str, float] = {}
    generator_share: float | None = None

    @property
    def failed(self) -> int:
        """How many requests did not succeed."""
        return self.unanswered + sum(count for status, count in self.statuses.items() if not 200 <= status < 300)


class Case(Frozen):
    """The runs of one thing measured: what (`suite`), on what (`target`), how hard.

    Attributes:
        size: connections; for the append call alone, commands per call.
        offered_per_s: open loop: the fixed rate; None: closed loop.
    """

    suite: str
    target: str
    size: int
    runs: tuple[Run, ...]
    offered_per_s: float | None = None


class Report(Frozen):
    """Everything one invocation measured; `left_out` is what did not run, and why."""

    started_at: str
    machine: dict[str, str]
    is_quick: bool
    cases: tuple[Case, ...] = ()
    left_out: dict[str, str] = {}

    def case(self, suite: str, target: str, size: int) -> Case | None:
        """Return the closed-loop case, None when it was not measured."""
        return next((each for each in self.of(suite) if (each.target, each.size) == (target, size)), None)

    def of(self, suite: str) -> Sequence[Case]:
        """Return the cases of a suite."""
        return [each for each in self.cases if each.suite == suite]
