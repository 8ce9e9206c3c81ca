"""What is measured, in rounds: each suite measures all its targets once per round, so that ratios compare neighbours.

The order of the targets moves on by one each round: none always comes first after the checkpoint that starts a round.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import uvloop

from command_api.handling.order_state_cache import MAX_ORDERS
from tests.bench.append import BATCHES, SMALL, Sizes
from tests.bench.bench import INSIDE_S, Bench
from tests.bench.model import HOT, HOT_ALONE, HOT_CONTROL, HOT_LOAD, HOT_ORDER, HOT_WRITERS, OURS
from tests.bench.orders import AUTHORIZED, BATCH_PATH, CREATE_PATH, RequestPlan, new_key
from tests.bench.pace import Pace
from tests.bench.sample import stored_sizes
from tests.bench.stack import PROCESSES, WITH_FUNCTIONS, Target

TARGETS: Final = ("empty", "group_commit", OURS, "eventsourcing", WITH_FUNCTIONS, "crud")
PEERS: Final = ("eventsourcing", "crud")
PEAK_CONNECTIONS: Final = 64
STATE_CONNECTIONS: Final = (16, 64)
BATCH_CONNECTIONS: Final = (1, 2, 4)
BATCH_ORDERS: Final = 500
OPEN_SHARES: Final = (0.3, 0.6, 0.8)
LONG_SHARE: Final = 0.6
LONG_ROUNDS: Final = 3
HOT_SHARE: Final = 0.35
AS_STORED: Final = ", sizes as stored"
_OVERHEAD_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Suite:
    """A part of the benchmark: `measure` takes one round of it, `seconds` estimates how long a round takes."""

    name: str
    about: str
    measure: Callable[[Bench, int], None]
    seconds: Callable[[Pace], float]


def create(bench: Bench, in_round: int) -> None:
    """Create orders in a closed loop, at every number of connections, on every target."""
    for connections in bench.pace.connections:
        for target in _running(bench, _rotated(TARGETS, in_round)):
            bench.closed("create", target, connections, RequestPlan(api_key=target.api_key), in_round)


def processes(bench: Bench, in_round: int) -> None:
    """Create orders through four processes on one log."""
    for target in _running(bench, (PROCESSES,)):
        bench.closed("create", target, PEAK_CONNECTIONS, RequestPlan(api_key=target.api_key), in_round)


def replay(bench: Bench, in_round: int) -> None:
    """Repeat requests under keys that were used before; one unmeasured pass uses them first."""
    for target in _running(bench, (OURS,)):
        keys = _new_keys(bench.pace.listed)
        first = RequestPlan(kind="keys", listed=keys, api_key=target.api_key)
        bench.listed("", target, PEAK_CONNECTIONS, first, in_round)
        again = first.model_copy(update={"kind": "repeated keys"})
        for connections in STATE_CONNECTIONS:
            bench.closed("replay", target, connections, again, in_round)


def state(bench: Bench, in_round: int) -> None:
    """Authorize and capture orders that this process made a moment ago."""
    for target in _running(bench, (OURS,)):
        for connections in STATE_CONNECTIONS:
            made = _orders(bench, target, min(bench.pace.listed, MAX_ORDERS), in_round)
            for verb in ("authorize", "captures"):
                bench.listed(verb.rstrip("s"), target, connections, _verb(target, made, verb), in_round)


def state_cold(bench: Bench, in_round: int) -> None:
    """Authorize orders that the process no longer remembers: each command reads its stream first."""
    for target in _running(bench, (OURS,)):
        made = _orders(bench, target, bench.pace.listed, in_round)
        _orders(bench, target, MAX_ORDERS, in_round)
        bench.listed("authorize cold", target, PEAK_CONNECTIONS, _verb(target, made, "authorize"), in_round)


def open_loop(bench: Bench, in_round: int) -> None:
    """Offer fixed rates: shares of our own peak, and one rate that every target can take."""
    peaks = {target.name: _peak(bench, target) for target in _running(bench, (OURS, *PEERS))}
    common = _even(min(peaks.values()) * LONG_SHARE)
    for target in _running(bench, _rotated((OURS, *PEERS), in_round)):
        bench.open("open", target, common, bench.pace.seconds, in_round)
    for target in _running(bench, (OURS,)):
        for share in OPEN_SHARES:
            bench.open("open", target, _even(peaks[OURS] * share), bench.pace.seconds, in_round)


def hot(bench: Bench, in_round: int) -> None:
    """Create orders at a fixed rate: alone, while 200 writers are on one other order, beside as many other creates."""
    for target in _running(bench, (OURS,)):
        rate_per_s = _even(_peak(bench, target) * HOT_SHARE)
        [order] = _orders(bench, target, 1, in_round)
        writes = RequestPlan(method="PATCH", path=f"{order}/status", body=AUTHORIZED, api_key=target.api_key)
        bench.open(HOT_ALONE, target, rate_per_s, bench.pace.seconds, in_round)
        bench.open_beside((HOT, HOT_ORDER), target, rate_per_s, HOT_WRITERS, writes, in_round)
        hot_order = bench.cases.get(HOT_ORDER, target.name, HOT_WRITERS)
        if hot_order is not None:
            creates = RequestPlan(api_key=target.api_key)
            as_many_per_s = hot_order.runs[-1].per_s
            names = (HOT_CONTROL, HOT_LOAD)
            bench.open_beside(names, target, rate_per_s, HOT_WRITERS, creates, in_round, as_many_per_s)


def sustained(bench: Bench, in_round: int) -> None:
    """Offer 60 % of our peak for a minute, in the first rounds only: it is the longest of all measurements.

    A checkpoint before it makes the WAL files of the round so far ready to be used again.
    """
    if in_round < LONG_ROUNDS:
        bench.stack.execute("CHECKPOINT")
        for target in _running(bench, (OURS,)):
            bench.open("sustained", target, _even(_peak(bench, target) * LONG_SHARE), bench.pace.long_s, in_round)


def batch(bench: Bench, in_round: int) -> None:
    """Create orders in batches of 500, each order under a new key."""
    for target in _running(bench, (OURS,)):
        plan = RequestPlan(kind="batches", path=BATCH_PATH, orders=BATCH_ORDERS, api_key=target.api_key)
        for connections in BATCH_CONNECTIONS:
            bench.closed("batch", target, connections, plan, in_round)


def append(bench: Bench, in_round: int) -> None:
    """Call the append function from one connection, without HTTP."""
    bench.append(SMALL, "", in_round)
    bench.append(Sizes(*uvloop.run(stored_sizes())), AS_STORED, in_round)


def inside(bench: Bench, in_round: int) -> None:
    """Look into the append function, once."""
    if in_round == 0:
        bench.inside_append()


SUITES: Final = (
    Suite(
        "create", "create orders, closed loop, beside every peer", create, lambda pace: _closed_s(pace, len(TARGETS))
    ),
    Suite("processes", "the same through 4 processes on one log", processes, lambda pace: _window_s(pace)),  # noqa: PLW0108  # defined below
    Suite("replay", "repeat requests under used keys", replay, lambda pace: 1 + 2 * _window_s(pace)),
    Suite("state", "authorize and capture orders made just before", state, lambda _pace: 4 * (1 + _OVERHEAD_S)),
    Suite("cold", "authorize orders no process remembers", state_cold, lambda _pace: 1 + _OVERHEAD_S),
    Suite("open", "fixed rates, latency from the intended moment", open_loop, lambda pace: 6 * _window_s(pace)),
    Suite(HOT, "a fixed rate while 200 writers are on one order", hot, lambda pace: 8 + 3 * _window_s(pace)),
    Suite("sustained", "60 % of the peak for a minute", sustained, lambda pace: _first_rounds_s(pace, pace.long_s)),
    Suite("batch", "create orders in batches of 500", batch, lambda pace: len(BATCH_CONNECTIONS) * _window_s(pace)),
    Suite("append", "the append call without HTTP", append, lambda pace: 3 * len(BATCHES) * pace.appends_s),
    Suite("inside", "the statements of the append function", inside, lambda pace: INSIDE_S / pace.rounds),
)
QUICK_SUITES: Final = ("create", "replay", "state", "open", "sustained", "batch", "append")


def _first_rounds_s(pace: Pace, seconds: float) -> float:
    """Return what each round takes on average of something that only the first rounds do."""
    return seconds * min(LONG_ROUNDS, pace.rounds) / pace.rounds


def _running(bench: Bench, names: Sequence[str]) -> list[Target]:
    return [target for name in names if (target := bench.target(name)) is not None]


def _rotated(names: Sequence[str], by: int) -> Sequence[str]:
    start = by % len(names)
    return [*names[start:], *names[:start]]


def _peak(bench: Bench, target: Target) -> float:
    """Return the rate a target reached in the first round; measured now when the suite `create` was not asked for."""
    if bench.cases.get("create", target.name, PEAK_CONNECTIONS) is None:
        bench.closed("create", target, PEAK_CONNECTIONS, RequestPlan(api_key=target.api_key), 0)
    case = bench.cases.get("create", target.name, PEAK_CONNECTIONS)
    return case.runs[0].per_s if case else 1.0


def _even(rate_per_s: float) -> float:
    """Return a rate with two digits: easier to read, and no more exact than the peak it comes from."""
    digits = len(str(int(rate_per_s))) - 2
    return max(float(round(rate_per_s, -digits)), 10.0)


def _new_keys(count: int) -> tuple[str, ...]:
    return tuple(new_key().decode() for _ in range(count))


def _orders(bench: Bench, target: Target, count: int, in_round: int) -> tuple[str, ...]:
    plan = RequestPlan(kind="keys", path=CREATE_PATH, listed=_new_keys(count), api_key=target.api_key)
    return bench.listed("", target, PEAK_CONNECTIONS, plan, in_round)


def _verb(target: Target, orders: Sequence[str], verb: str) -> RequestPlan:
    paths = tuple(f"{order}/{verb}" for order in orders)
    return RequestPlan(kind="paths", listed=paths, body=b"", api_key=target.api_key)


def _window_s(pace: Pace) -> float:
    return pace.warmup_s + pace.seconds + _OVERHEAD_S


def _closed_s(pace: Pace, targets: int) -> float:
    return targets * len(pace.connections) * _window_s(pace)
