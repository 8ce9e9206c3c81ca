"""The benchmark on real servers, with windows of a fraction of a second: what it sends is done and nothing fails."""

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from rich.console import Console

from infra.local.servers.valkey import ValkeyServer
from tests.bench import suites
from tests.bench.bench import Bench
from tests.bench.model import HOT, HOT_ALONE, HOT_CONTROL, HOT_LOAD, HOT_ORDER, HOT_WRITERS, OURS
from tests.bench.orders import RequestPlan
from tests.bench.pace import Pace
from tests.bench.profiling import profile
from tests.bench.progress import Steps
from tests.bench.stack import BenchStack
from tests.support.services.servers import PostgresCluster

TINY = Pace(
    rounds=1,
    seconds=0.2,
    warmup_s=0.1,
    connections=(4,),
    open_connections=8,
    lead_s=10.0,
    long_s=0.2,
    listed=60,
    appends_s=0.02,
    wal_segments=0,
)


@pytest.fixture
def bench(postgres_cluster: PostgresCluster, valkey_server: ValkeyServer, tmp_path: Path) -> Iterator[Bench]:
    stack = BenchStack(postgres_cluster, valkey_server.url, tmp_path)
    yield Bench(stack, TINY, Steps(Console(file=io.StringIO()), 10.0))
    stack.stop()


@pytest.mark.parametrize("name", ["empty", "group_commit", OURS])
def test_a_target_takes_orders(bench: Bench, name: str) -> None:
    target = bench.target(name)
    assert target is not None, bench.left_out
    bench.closed("create", target, 4, RequestPlan(api_key=target.api_key), 0)
    bench.open("open", target, 50.0, 0.4, 0)
    closed, opened = bench.cases.all
    assert [case.runs[0].failed for case in (closed, opened)] == [0, 0]
    assert sum(closed.runs[0].statuses.values()) >= 4, "each connection had its answer, in the window or after it"
    assert (opened.offered_per_s, opened.runs[0].done) == (50.0, 20)


def test_replays_state_commands_and_appends_succeed(bench: Bench) -> None:
    for measure in (suites.replay, suites.state, suites.append):
        measure(bench, 0)
    assert bench.left_out == {}
    assert {case.suite for case in bench.cases.all} == {"replay", "authorize", "capture", "append"}
    assert sum(run.failed for case in bench.cases.all for run in case.runs) == 0


def test_every_order_of_the_measured_batches_is_made(bench: Bench) -> None:
    suites.batch(bench, 0)
    assert bench.left_out == {}
    assert [(case.suite, case.size) for case in bench.cases.all] == [("batch", 1), ("batch", 2), ("batch", 4)]
    target = bench.target(OURS)
    assert target is not None
    metrics = urlopen(f"http://127.0.0.1:{target.ports[0]}/metrics").read().decode()  # our own
    sent = sum(sum(run.statuses.values()) for case in bench.cases.all for run in case.runs)
    assert sum(run.failed for case in bench.cases.all for run in case.runs) == 0
    assert f'harbor_commands_total{{outcome="done",type="create"}} {sent * 500:.1f}' in metrics


def test_writers_on_one_order_run_beside_the_creates_and_nothing_fails(bench: Bench) -> None:
    suites.hot(bench, 0)
    assert bench.left_out == {}
    measured = {case.suite: case for case in bench.cases.all if case.suite != "create"}
    assert set(measured) == {HOT_ALONE, HOT, HOT_ORDER, HOT_CONTROL, HOT_LOAD}
    assert sum(run.failed for case in measured.values() for run in case.runs) == 0
    assert measured[HOT].offered_per_s == measured[HOT_ALONE].offered_per_s
    assert measured[HOT_ORDER].size == HOT_WRITERS


def test_the_running_service_tells_its_layers_and_its_waits(bench: Bench) -> None:
    told = profile(bench)
    assert "HTTP server" in {layer.name for layer in told.layers}
    assert sum(layer.share for layer in told.layers) == pytest.approx(1.0, abs=0.01)
    assert [wait.connections for wait in told.waits] == [4]
    assert 0 < told.waits[0].append_call_ms <= told.waits[0].in_service_ms
