"""Each program of the benchmark on real servers, for a fraction of a second: nothing it sends fails."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from infra.local.servers.valkey import ValkeyServer
from tests.bench import suites
from tests.bench.bench import Bench
from tests.bench.load.requests import RequestPlan
from tests.bench.pace import Pace
from tests.bench.progress import Steps
from tests.bench.report.model import HOT, HOT_ALONE, HOT_CONTROL, HOT_LOAD, HOT_ORDER, OURS
from tests.bench.stack import BenchStack
from tests.support.services.servers import PostgresCluster

SUITES = {"create", "authorize", "capture", "batch", "append", HOT_ALONE, HOT, HOT_ORDER, HOT_CONTROL, HOT_LOAD}
TINY = Pace(
    rounds=1,
    seconds=0.2,
    warmup_s=0.1,
    connections=(4,),
    open_connections=8,
    lead_s=5.0,
    long_s=0.2,
    listed=60,
    appends_s=0.02,
)


@pytest.fixture
def bench(postgres_cluster: PostgresCluster, valkey_server: ValkeyServer, tmp_path: Path) -> Iterator[Bench]:
    stack = BenchStack(postgres_cluster, valkey_server.url, tmp_path)
    yield Bench(stack, TINY, Steps(Console(file=io.StringIO()), 10.0))
    stack.stop()


@pytest.mark.timeout(300)
def test_nothing_that_the_suites_send_fails(bench: Bench) -> None:
    raw, ours = bench.target("group_commit"), bench.target(OURS)
    assert raw is not None, bench.left_out
    assert ours is not None, bench.left_out
    bench.closed("create", raw, 4, RequestPlan(), 0)
    bench.closed("batch", ours, 2, suites.batch_plan(ours), 0)
    suites.authorize_and_capture(bench, ours, 4, 0)
    suites.append(bench, 0)
    suites.hot(bench, 0)

    assert bench.left_out == {}
    assert {case.suite for case in bench.cases.all} == SUITES
    assert [case for case in bench.cases.all if any(run.failed for run in case.runs)] == []
    [beside] = [case for case in bench.cases.all if case.suite == HOT]
    assert (beside.target, beside.runs[0].done > 0) == (OURS, True)
