"""Where the time of a create goes: CPU by layer, sampled in the running service, and the waits its metrics tell."""

import signal
from dataclasses import dataclass
from typing import Final
from urllib.request import urlopen

import orjson
from prometheus_client.parser import text_string_to_metric_families

from tests.bench.bench import Bench
from tests.bench.layers import layers_of
from tests.bench.loops import LoadPlan
from tests.bench.measure import measure
from tests.bench.model import OURS, Layer, Wait
from tests.bench.orders import CREATE_PATH, RequestPlan
from tests.bench.stack import SAMPLED, Target

CONNECTIONS: Final = 64
_WINDOWS: Final = 3
_REQUESTS: Final = "harbor_http_request_duration_seconds"
_CALLS: Final = "harbor_append_seconds"
_COMMANDS: Final = "harbor_append_batch_commands"


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the time of a create goes; `samples` are the stacks behind `layers`."""

    layers: tuple[Layer, ...]
    samples: dict[str, int]
    waits: tuple[Wait, ...]


NOTHING: Final = Profile((), {}, ())


def profile(bench: Bench) -> Profile:
    """Sample a service under load, and read the metrics of another one."""
    bench.say("sampling the service")
    layers, samples = sample_layers(bench)
    bench.say("reading its metrics")
    return Profile(layers, samples, waits(bench))


def sample_layers(bench: Bench) -> tuple[tuple[Layer, ...], dict[str, int]]:
    """Load a service that samples itself; give its layers and its stacks."""
    target = bench.target(SAMPLED)
    if target is None:
        return (), {}
    pace = bench.pace
    plan = LoadPlan(
        ports=target.ports,
        connections=CONNECTIONS,
        warmup_s=0.0,
        seconds=pace.warmup_s + pace.seconds,
        requests=RequestPlan(api_key=target.api_key),
    )
    measure(bench.stack, target, plan, 0)  # start-up and first requests are not what is asked
    (process,) = target.processes
    process.send_signal(signal.SIGUSR1)
    run, _ = measure(bench.stack, target, plan.model_copy(update={"seconds": pace.seconds * _WINDOWS}), 0)
    bench.stack.stop(SAMPLED)
    samples: dict[str, int] = orjson.loads(bench.stack.samples_file.read_bytes())
    return layers_of(samples, run.cpu_us["service"]), samples


def waits(bench: Bench) -> tuple[Wait, ...]:
    """Return where requests wait, at every number of connections."""
    target = bench.target(OURS)
    return tuple(_wait(bench, target, connections) for connections in bench.pace.connections) if target else ()


def _wait(bench: Bench, target: Target, connections: int) -> Wait:
    plan = LoadPlan(
        ports=target.ports,
        connections=connections,
        warmup_s=0.0,
        seconds=bench.pace.seconds,
        requests=RequestPlan(api_key=target.api_key),
    )
    before = _metrics(target.ports[0])
    run, _ = measure(bench.stack, target, plan, 0)
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


def _metrics(port: int) -> dict[str, float]:
    """Return sums and counts of the append, and of creates, by sample name."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:  # our own address
        text = answer.read().decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        if family.name in (_REQUESTS, _CALLS, _COMMANDS):
            for sample in family.samples:
                if sample.labels in ({}, {"route": CREATE_PATH, "method": "POST"}):
                    found[sample.name] = sample.value
    return found
