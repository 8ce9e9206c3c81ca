"""/livez and /readyz are the same in every process: one shape, one vocabulary, documented in docs/health.md."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, get_args

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry, Counter

from infra.observability.build_info import VERSION
from infra.observability.health import MEANINGS, NotReadyReason, liveness, readiness, state_of_health
from infra.observability.ops_server import OpsServer
from infra.settings import OpsSettings
from tests.support.services.small_service import client_of, small_service

CHECKOUT: Final = Path(__file__).resolve().parents[3]


@asynccontextmanager
async def worker(
    waiting: Sequence[NotReadyReason], registry: CollectorRegistry | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the port of a process without an API."""

    async def ready() -> Sequence[NotReadyReason]:
        return waiting

    ops = OpsServer(OpsSettings(host="127.0.0.1", port=0), ready, registry or CollectorRegistry())
    async with ops, httpx.AsyncClient(base_url=f"http://127.0.0.1:{ops.port}", trust_env=False) as client:
        yield client


@asynccontextmanager
async def service(waiting: Sequence[NotReadyReason]) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of a service."""
    small = small_service()
    small.waiting += waiting
    async with client_of(small.app) as client:
        yield client


@pytest.mark.parametrize("waiting", [(), ("database_unreachable",), ("starting", "partitions_short")])
async def test_a_service_and_a_worker_respond_with_the_same_bytes(waiting: Sequence[NotReadyReason]) -> None:
    async with service(waiting) as client, worker(waiting) as port:
        for path in ("/livez", "/readyz", "/health"):
            of_service, of_worker = await client.get(path), await port.get(path)
            assert of_service.content == of_worker.content
            assert of_service.status_code == of_worker.status_code
            for header in ("content-type", "retry-after"):
                assert of_service.headers.get(header) == of_worker.headers.get(header)


def test_a_response_says_what_is_waited_for_and_when_to_ask_again() -> None:
    alive, ready, waits = liveness(), readiness(()), readiness(("broker_unreachable",))

    assert (alive.status, orjson.loads(alive.body)) == (200, {"status": "alive"})
    assert (ready.status, orjson.loads(ready.body)) == (200, {"status": "ready", "waiting_for": []})
    assert (waits.status, orjson.loads(waits.body)) == (
        503,
        {"status": "waiting", "waiting_for": ["broker_unreachable"]},
    )
    assert ("retry-after" in ready.headers, waits.headers["retry-after"]) == (False, "1")


@pytest.mark.parametrize("waiting", [(), ("broker_unreachable",)])
def test_health_is_readiness_with_the_name_and_the_version_of_the_process(waiting: Sequence[NotReadyReason]) -> None:
    ready, health = readiness(waiting), state_of_health(waiting)

    about = {"service": "harbor-orders", "version": VERSION}  # a process that has a name says that one
    assert orjson.loads(health.body) == about | orjson.loads(ready.body)
    assert (health.status, health.headers) == (ready.status, ready.headers)


async def test_the_port_of_a_worker_refuses_with_problem_documents() -> None:
    async with worker(()) as port:
        refused = [await port.get("/livez/"), await port.get("/nothing"), await port.post("/livez")]
        head = await port.head("/readyz")

    assert [response.status_code for response in refused] == [404, 404, 405]
    for response in refused:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
    assert refused[2].headers["allow"] == "GET,HEAD"
    assert (head.status_code, head.content) == (200, b"")


async def test_a_worker_that_cannot_tell_whether_it_is_ready_says_so_in_a_problem_document() -> None:
    async def broken() -> Sequence[NotReadyReason]:
        raise RuntimeError("secret-canary")

    ops = OpsServer(OpsSettings(host="127.0.0.1", port=0), broken, CollectorRegistry())
    async with ops, httpx.AsyncClient(base_url=f"http://127.0.0.1:{ops.port}", trust_env=False) as port:
        response = await port.get("/readyz")

    assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
    assert "canary" not in response.text


async def test_a_worker_has_metrics_in_the_text_format_of_prometheus() -> None:
    registry = CollectorRegistry()
    Counter("harbor_example", "An example.", registry=registry).inc(3)

    async with worker((), registry) as port:
        response = await port.get("/metrics")

    assert response.headers["content-type"].startswith("text/plain; version=")
    assert "harbor_example_total 3.0" in response.text


def test_every_code_has_a_meaning_and_is_used_by_some_process() -> None:
    assert tuple(MEANINGS) == get_args(NotReadyReason)
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for room in ("infra", "command_api", "query_api", "projections")
        for path in (CHECKOUT / room).rglob("*.py")
        if path.name != "health.py"
    )
    assert [word for word in MEANINGS if not re.search(rf'"{word}"', source)] == []
