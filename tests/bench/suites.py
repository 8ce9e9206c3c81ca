"""What is measured, in rounds: each suite measures all its targets once per round, so that ratios compare neighbours.

The order of the targets moves on by one each round, so that none always comes first after the checkpoint.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import uvloop

from command_api.handling.order_state_cache import MAX_ORDERS
from tests.bench.append_call import BATCHES, SMALL, Sizes
from tests.bench.bench import Bench
from tests.bench.load.requests import AUTHORIZED, BATCH_PATH, RequestPlan, new_keys
from tests.bench.pace import Pace
from tests.bench.report.model import (
    HOT,
    HOT_ALONE,
    HOT_CONTROL,
    HOT_LOAD,
    HOT_ORDER,
    HOT_WRITERS,
    OURS,
    PROCESSES,
    WITH_FUNCTIONS,
)
from tests.bench.sample import stored_sizes
from tests.bench.stack import Target

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


@dataclass(frozen=True, slots=True)
class Suite:
    """A part of the benchmark: `measure` takes one round of it, `seconds` estimates how long a round takes."""

    name: str
    measure: Callable[[Bench, int], None]
    seconds: Callable[[Pace], float]


def create(bench: Bench, in_round: int) -> None:
    """Create orders in a closed loop, at every number of connections, on every target."""
    for connections in bench.pace.connections:
        for target in _running(bench, rotated(TARGETS, in_round)):
            bench.closed("create", target, connections, RequestPlan(api_key=target.api_key), in_round)


def processes(bench: Bench, in_round: int) -> None:
    """Create orders through four processes on one log."""
    for target in _running(bench, (PROCESSES,)):
        bench.closed("create", target, PEAK_CONNECTIONS, RequestPlan(api_key=target.api_key), in_round)


def replay(bench: Bench, in_round: int) -> None:
    """Repeat requests under keys that were used before; one unmeasured pass uses them first."""
    for target in _running(bench, (OURS,)):
        first = RequestPlan(kind="keys", listed=new_keys(bench.pace.listed), api_key=target.api_key)
        bench.make(target, PEAK_CONNECTIONS, first)
        for connections in STATE_CONNECTIONS:
            bench.closed("replay", target, connections, first.model_copy(update={"kind": "repeated keys"}), in_round)


def state(bench: Bench, in_round: int) -> None:
    """Authorize and capture orders that this process made a moment ago."""
    for target in _running(bench, (OURS,)):
        for connections in STATE_CONNECTIONS:
            authorize_and_capture(bench, target, connections, in_round)


def authorize_and_capture(bench: Bench, target: Target, connections: int, in_round: int) -> None:
    """Make orders, unmeasured, then measure each of two commands once per order."""
    made = make_orders(bench, target, min(bench.pace.listed, MAX_ORDERS))
    for suite, verb in (("authorize", "authorize"), ("capture", "captures")):
        bench.listed(suite, target, connections, _verb(target, made, verb), in_round)


def state_cold(bench: Bench, in_round: int) -> None:
    """Authorize orders that the process no longer remembers: each command reads its stream first."""
    for target in _running(bench, (OURS,)):
        made = make_orders(bench, target, bench.pace.listed)
        make_orders(bench, target, MAX_ORDERS)
        bench.listed("authorize cold", target, PEAK_CONNECTIONS, _verb(target, made, "authorize"), in_round)


def open_loop(bench: Bench, in_round: int) -> None:
    """Offer fixed rates: shares of our own peak, and one rate that every target can take."""
    peaks = {target.name: _peak(bench, target) for target in _running(bench, (OURS, *PEERS))}
    common = _even(min(peaks.values()) * LONG_SHARE)
    for target in _running(bench, rotated((OURS, *PEERS), in_round)):
        bench.open("open", target, common, bench.pace.seconds, in_round)
    for target in _running(bench, (OURS,)):
        for share in OPEN_SHARES:
            bench.open("open", target, _even(peaks[OURS] * share), bench.pace.seconds, in_round)


def hot(bench: Bench, in_round: int) -> None:
    """Create orders at a fixed rate: alone, while 200 writers are on one other order, beside as many other creates."""
    for target in _running(bench, (OURS,)):
        rate_per_s = _even(_peak(bench, target) * HOT_SHARE)
        [order] = make_orders(bench, target, 1)
        writes = RequestPlan(method="PATCH", path=f"{order}/status", body=AUTHORIZED, api_key=target.api_key)
        bench.open(HOT_ALONE, target, rate_per_s, bench.pace.seconds, in_round)
        bench.open_beside((HOT, HOT_ORDER), target, rate_per_s, HOT_WRITERS, writes, in_round)
        hot_order = bench.cases.get(HOT_ORDER, target.name, HOT_WRITERS)
        if hot_order is not None:
            creates, as_many_per_s = RequestPlan(api_key=target.api_key), hot_order.runs[-1].per_s
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
        for connections in BATCH_CONNECTIONS:
            bench.closed("batch", target, connections, batch_plan(target), in_round)


def batch_plan(target: Target) -> RequestPlan:
    """Return requests of 500 orders."""
    return RequestPlan(kind="batches", path=BATCH_PATH, orders=BATCH_ORDERS, api_key=target.api_key)


def append(bench: Bench, in_round: int) -> None:
    """Call the append function from one connection, without HTTP."""
    bench.append(SMALL, "", in_round)
    bench.append(Sizes(*uvloop.run(stored_sizes())), ", sizes as stored", in_round)


def make_orders(bench: Bench, target: Target, count: int) -> tuple[str, ...]:
    """Make so many orders, unmeasured, and return their paths."""
    plan = RequestPlan(kind="keys", listed=new_keys(count), api_key=target.api_key)
    return bench.make(target, PEAK_CONNECTIONS, plan)


def rotated(names: Sequence[str], by: int) -> Sequence[str]:
    """Return the names with the first `by` of them moved to the end."""
    start = by % len(names)
    return [*names[start:], *names[:start]]


def _running(bench: Bench, names: Sequence[str]) -> list[Target]:
    return [target for name in names if (target := bench.target(name)) is not None]


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


def _verb(target: Target, orders: Sequence[str], verb: str) -> RequestPlan:
    paths = tuple(f"{order}/{verb}" for order in orders)
    return RequestPlan(kind="paths", listed=paths, body=b"", api_key=target.api_key)


def _window_s(pace: Pace) -> float:
    return pace.warmup_s + pace.seconds + 0.5


SUITES: Final = (
    Suite("create", create, lambda pace: len(TARGETS) * len(pace.connections) * _window_s(pace)),
    Suite("processes", processes, _window_s),
    Suite("replay", replay, lambda pace: 1 + 2 * _window_s(pace)),
    Suite("state", state, lambda _pace: 6.0),
    Suite("cold", state_cold, lambda _pace: 1.5),
    Suite("open", open_loop, lambda pace: 6 * _window_s(pace)),
    Suite(HOT, hot, lambda pace: 8 + 3 * _window_s(pace)),
    Suite("sustained", sustained, lambda pace: pace.long_s * min(LONG_ROUNDS, pace.rounds) / pace.rounds),
    Suite("batch", batch, lambda pace: len(BATCH_CONNECTIONS) * _window_s(pace)),
    Suite("append", append, lambda pace: 3 * len(BATCHES) * pace.appends_s),
)
QUICK_SUITES: Final = ("create", "replay", "state", "open", "sustained", "batch", "append")
