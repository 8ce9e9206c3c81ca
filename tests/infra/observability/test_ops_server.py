"""The workers' health and metrics port."""

from collections.abc import Sequence

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from infra.observability.health import NotReadyReason
from infra.observability.ops_server import OpsServer
from infra.settings import OpsSettings

SETTINGS = OpsSettings(host="127.0.0.1", port=0)


async def get(port: int, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        return await client.get(path)


async def test_livez_answers_while_the_loop_turns() -> None:
    async with OpsServer(SETTINGS, lambda: ("starting",)) as ops:
        answer = await get(ops.port, "/livez")

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


@pytest.mark.parametrize(
    ("waiting", "status", "body"),
    [
        ((), 200, {"status": "ready", "waiting_for": []}),
        (("broker_unreachable",), 503, {"status": "waiting", "waiting_for": ["broker_unreachable"]}),
    ],
)
async def test_readyz_tells_whether_work_can_be_done_and_why_not(
    waiting: Sequence[NotReadyReason], status: int, body: dict[str, object]
) -> None:
    async with OpsServer(SETTINGS, lambda: waiting) as ops:
        answer = await get(ops.port, "/readyz")

    assert (answer.status_code, answer.json()) == (status, body)


async def test_metrics_are_in_the_prometheus_text_format() -> None:
    registry = CollectorRegistry()
    Counter("harbor_example", "An example.", registry=registry).inc(3)

    async with OpsServer(SETTINGS, lambda: (), registry=registry) as ops:
        answer = await get(ops.port, "/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "harbor_example_total 3.0" in answer.text
