"""Every process answers /livez and /readyz alike: one shape, one vocabulary, told in docs/health.md."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, get_args

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry

from infra.observability.health import MEANINGS, NotReadyReason, readiness
from infra.observability.ops_server import OpsServer
from infra.settings import OpsSettings
from tests.support.services.small_service import client_of, small_service

CHECKOUT: Final = Path(__file__).resolve().parents[3]
Told = tuple[int, str, str | None, object]


@asynccontextmanager
async def worker(waiting: Sequence[NotReadyReason]) -> AsyncIterator[httpx.AsyncClient]:
    """Return the port of a process without an API."""
    ops = OpsServer(OpsSettings(host="127.0.0.1", port=0), lambda: waiting, CollectorRegistry())
    async with ops, httpx.AsyncClient(base_url=f"http://127.0.0.1:{ops.port}", trust_env=False) as client:
        yield client


@asynccontextmanager
async def service(waiting: Sequence[NotReadyReason]) -> AsyncIterator[httpx.AsyncClient]:
    """Return a service."""
    small = small_service()
    small.waiting += waiting
    async with client_of(small.app) as client:
        yield client


async def told(client: httpx.AsyncClient, path: str) -> Told:
    answer = await client.get(path)
    return (
        answer.status_code,
        answer.headers["content-type"],
        answer.headers.get("retry-after"),
        orjson.loads(answer.content),
    )


@pytest.mark.parametrize("waiting", [(), ("database_unreachable",), ("starting", "partitions_short")])
async def test_a_service_and_a_worker_say_the_same_in_the_same_bytes(waiting: Sequence[NotReadyReason]) -> None:
    async with service(waiting) as client, worker(waiting) as port:
        for path in ("/livez", "/readyz"):
            assert await told(client, path) == await told(port, path)
            assert (await client.get(path)).content == (await port.get(path)).content


def test_who_is_ready_waits_for_nothing_and_who_waits_says_for_what_and_when_to_ask_again() -> None:
    ready, waits = readiness(()), readiness(("broker_unreachable",))
    assert (ready.status, orjson.loads(ready.body)) == (200, {"status": "ready", "waiting_for": []})
    assert waits.status == 503
    assert orjson.loads(waits.body) == {"status": "waiting", "waiting_for": ["broker_unreachable"]}
    assert ("retry-after" in ready.headers, waits.headers["retry-after"]) == (False, "1")


def test_every_word_has_its_meaning_and_is_said_by_some_process() -> None:
    assert tuple(MEANINGS) == get_args(NotReadyReason)
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for room in ("infra", "command_api", "query_api", "projections")
        for path in (CHECKOUT / room).rglob("*.py")
        if path.name != "health.py"
    )
    assert [word for word in MEANINGS if not re.search(rf'"{word}"', source)] == []
