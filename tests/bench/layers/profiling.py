"""Where the time of a create goes: CPU by layer, sampled in the running service, and the waits in its metrics."""

import signal
from typing import Final
from urllib.request import urlopen

import orjson
from prometheus_client.parser import text_string_to_metric_families

from tests.bench.bench import Bench, measure
from tests.bench.layers.layers import layers_of
from tests.bench.load.loops import LoadPlan
from tests.bench.load.requests import CREATE_PATH, RequestPlan
from tests.bench.report.model import OURS, SAMPLED, Layer, Wait
from tests.bench.stack import Target

CONNECTIONS: Final = 64
_WINDOWS: Final = 3
_REQUESTS: Final = "harbor_http_request_duration_seconds"
_CALLS: Final = "harbor_append_seconds"
_COMMANDS: Final = "harbor_append_batch_commands"


def profile(bench: Bench) -> tuple[tuple[Layer, ...], tuple[Wait, ...]]:
    """Sample a service under load, and read the metrics of another one."""
    bench.say("sampling the service")
    layers = _layers(bench)
    bench.say("reading its metrics")
    target = bench.target(OURS)
    return layers, tuple(_wait(bench, target, size) for size in bench.pace.connections) if target else ()


def _layers(bench: Bench) -> tuple[Layer, ...]:
    """Load a service that samples itself; return its layers."""
    target = bench.target(SAMPLED)
    if target is None:
        return ()
    pace = bench.pace
    # Start-up and first requests are not sampled.
    measure(bench.stack, target, _plan(target, CONNECTIONS, pace.warmup_s + pace.seconds), 0)
    (process,) = target.processes
    process.send_signal(signal.SIGUSR1)
    run = measure(bench.stack, target, _plan(target, CONNECTIONS, pace.seconds * _WINDOWS), 0)
    bench.stack.stop(SAMPLED)
    return layers_of(orjson.loads(bench.stack.samples_file.read_bytes()), run.cpu_us["service"])


def _wait(bench: Bench, target: Target, connections: int) -> Wait:
    """Return where requests wait at some number of connections."""
    before = _metrics(target.ports[0])
    run = measure(bench.stack, target, _plan(target, connections, bench.pace.seconds), 0)
    after = _metrics(target.ports[0])
    moved = {name: value - before.get(name, 0.0) for name, value in after.items()}
    calls, requests = max(moved[f"{_CALLS}_count"], 1.0), max(moved[f"{_REQUESTS}_count"], 1.0)
    return Wait(
        connections=connections,
        seen_by_client_ms=run.latency.mean_ms,
        in_service_ms=round(moved[f"{_REQUESTS}_sum"] / requests * 1e3, 3),
        append_call_ms=round(moved[f"{_CALLS}_sum"] / calls * 1e3, 3),
        batch_commands=round(moved[f"{_COMMANDS}_sum"] / calls, 2),
    )


def _plan(target: Target, connections: int, seconds: float) -> LoadPlan:
    requests = RequestPlan(api_key=target.api_key)
    return LoadPlan(ports=target.ports, connections=connections, warmup_s=0.0, seconds=seconds, requests=requests)


def _metrics(port: int) -> dict[str, float]:
    """Return sums and counts of the append, and of creates, by sample name."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:  # our own address
        families = text_string_to_metric_families(response.read().decode())
    return {
        sample.name: sample.value
        for family in families
        if family.name in (_REQUESTS, _CALLS, _COMMANDS)
        for sample in family.samples
        if sample.labels in ({}, {"route": CREATE_PATH, "method": "POST"})
    }
