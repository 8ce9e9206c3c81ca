"""This checkout beside an older one: the same load on both, in turn, and the ratio of each measurement.

The older checkout's services run from its own directory with its own environment, on a database that it migrated
itself, so nothing but HTTP, command lines and settings has to be the same.
"""

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.bench.bench import Bench
from tests.bench.load.requests import RequestPlan
from tests.bench.machine import commit
from tests.bench.pace import Pace
from tests.bench.report.model import Report
from tests.bench.report.stats import p99_ms, per_s, ratio
from tests.bench.report.tables import Table, spread_text
from tests.bench.stack import CHECKOUT, Target, clean_environment, end, interpreter
from tests.bench.suites import authorize_and_capture, make_orders
from tests.support.services.ports import free_port
from tests.support.services.servers import run

NAMES: Final = ("this", "baseline")
CONNECTIONS: Final = (16, 64)
LEAST: Final = 0.95
_READ: Final = 1000
"""Orders that are read."""
_VISIBLE_S: Final = 60.0


class BaselineError(Exception):
    """A command of a checkout failed; the message is what it printed."""


@dataclass(frozen=True, slots=True)
class Side:
    """The running services of one checkout, and the paths of the orders that are read."""

    commands: Target
    queries: Target
    orders: tuple[str, ...]


def compare(bench: Bench, path: Path) -> None:
    """Measure creates, authorizations, captures and reads of one order in both checkouts, which take turns."""
    sides = []
    try:
        for name, checkout in zip(NAMES, (CHECKOUT, path.resolve()), strict=True):
            bench.say(f"{name}: {commit(checkout)} in {checkout}")
            sides.append(_start(bench, name, checkout))
        for in_round in range(bench.pace.rounds):
            bench.say(f"round {in_round + 1} of {bench.pace.rounds}")
            bench.stack.execute("CHECKPOINT")
            for measure in (_create, _change, _get):
                for connections in CONNECTIONS:
                    for side in sides[:: -1 if in_round % 2 else 1]:
                        measure(bench, side, connections, in_round)
    finally:
        end(*(process for side in sides for process in (*side.commands.processes, *side.queries.processes)))


def planned_s(pace: Pace) -> float:
    """Return about how many seconds the measurements will take."""
    windows = 2 * (pace.warmup_s + pace.seconds + 0.5) + 2.0  # create and get; authorize and capture
    return pace.rounds * len(CONNECTIONS) * len(NAMES) * windows


def table(report: Report) -> Table:
    """Return the rates of both and this checkout's share of the baseline's."""
    rows = []
    for suite in ("create", "authorize", "capture", "get one"):
        for connections in CONNECTIONS:
            ours, other = (report.case(suite, name, connections) for name in NAMES)
            share = ratio(ours, other)
            if ours and other and share:
                verdict = "ok" if share.median >= LEAST else "**slower**"
                rates = (spread_text(per_s(ours)), spread_text(per_s(other)), spread_text(share, 2), verdict)
                slowest = (spread_text(p99_ms(ours), 1), spread_text(p99_ms(other), 1))
                rows.append((suite, str(connections), *rates, *slowest))
    columns = ("what", "connections", "req/s", "baseline", "ratio", f"≥ {LEAST}", "p99 ms", "baseline")
    return Table("baseline", "This checkout beside the baseline, medians of rounds", columns, tuple(rows))


def _create(bench: Bench, side: Side, connections: int, in_round: int) -> None:
    bench.closed("create", side.commands, connections, RequestPlan(api_key=side.commands.api_key), in_round)


def _change(bench: Bench, side: Side, connections: int, in_round: int) -> None:
    authorize_and_capture(bench, side.commands, connections, in_round)


def _get(bench: Bench, side: Side, connections: int, in_round: int) -> None:
    plan = RequestPlan(kind="repeated paths", method="GET", listed=side.orders, body=b"", api_key=side.queries.api_key)
    bench.closed("get one", side.queries, connections, plan, in_round)


def _start(bench: Bench, name: str, checkout: Path) -> Side:
    """Migrate a database, make a key, start the services, make orders and let a worker of the checkout project them."""
    stack, cluster = bench.stack, bench.stack.cluster
    run(cluster.create_database())  # makes the login roles, which all databases share
    stack.execute(f"CREATE DATABASE bench_{name}")
    database = cluster.database(f"bench_{name}")

    def once(url: str, *command: str) -> str:
        return _run(checkout, stack.environment(url), *command)

    once(database.admin_url, "infra.postgres.migrate")
    once(database.worker_url, "projections", "create-tables")
    printed = once(database.command_url, "command_api", "keys", "create", "--partner", "acme", "--mode", "test")
    key = re.search(r"hbr_test_\w+", printed)
    if key is None:
        raise BaselineError(f"no key in what {checkout} printed: {printed}")

    def start(url: str, *command: str) -> Target:
        port = free_port()
        ports = {f"HARBOR_{service}__PORT": str(port) for service in ("COMMAND_API", "QUERY_API", "OPS")}
        environment = stack.environment(url) | ports | {"HARBOR_WORKER__SOURCE": "store"}
        process = stack.start(f"{name}-{command[0]}", ("-m", *command), environment, port, checkout)
        return Target(name, (port,), key[0], (process,))

    commands = start(database.command_url, "command_api")
    orders = make_orders(bench, commands, _READ)
    worker = start(database.worker_url, "projections", "worker")
    queries = start(database.query_url, "query_api")
    _until_visible(f"http://127.0.0.1:{queries.ports[0]}{orders[-1]}", key[0])
    end(*worker.processes)  # what it does would be measured with the services
    return Side(commands, queries, orders)


def _run(checkout: Path, environment: dict[str, str], *command: str) -> str:
    ended = subprocess.run(  # noqa: S603  # fixed words
        [interpreter(checkout), "-m", *command],
        cwd=checkout,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise BaselineError(f"{checkout}: {' '.join(command)}: {ended.stderr.strip()}")
    return ended.stdout


def _until_visible(url: str, api_key: str) -> None:
    deadline_s = time.monotonic() + _VISIBLE_S
    request = Request(url, headers={"Authorization": f"Bearer {api_key}"})  # noqa: S310  # our own http address
    while True:
        try:
            with urlopen(request, timeout=_VISIBLE_S):  # noqa: S310  # the same
                return
        except HTTPError as error:
            if time.monotonic() > deadline_s:
                raise BaselineError(f"{url}: still {error.code}") from error
            time.sleep(0.1)
