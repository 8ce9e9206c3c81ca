"""`python -m query_api`: starts from its environment, answers over a socket, ends with 0 when asked to."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import orjson
import pytest

from infra.local.processes.launch import free_port
from tests.support.services.query_service import ORDERS, PEPPER, query_service
from tests.support.services.servers import Database
from tests.support.waiting import eventually

pytestmark = pytest.mark.server  # real sockets or processes, and deadlines that take their time

CHECKOUT = Path(__file__).resolve().parents[2]


def environment(database: Database, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HARBOR_")}
    return kept | {
        "HARBOR_POSTGRES__URL": database.query_url,
        "HARBOR_SECURITY__API_KEY_PEPPER": PEPPER,
        "HARBOR_SECURITY__CURSOR_SECRET": "c" * 32,
        "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY": "d2V" * 14 + "dw==",
        "HARBOR_QUERY_API__PORT": str(port),
    }


async def started(env: dict[str, str]) -> Process:
    pipe = asyncio.subprocess.PIPE
    words = ("-m", "query_api")
    return await asyncio.create_subprocess_exec(sys.executable, *words, cwd=CHECKOUT, env=env, stdout=pipe, stderr=pipe)


@asynccontextmanager
async def query_process(database: Database) -> AsyncIterator[tuple[Process, str]]:
    """Run the process until it is ready; yield it and its address."""
    port = free_port()
    process = await started(environment(database, port))
    url = f"http://127.0.0.1:{port}"

    async def is_ready() -> bool:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            with suppress(httpx.TransportError):
                return (await http.get("/readyz")).status_code == 200
            return False

    try:
        await eventually(is_ready, timeout_s=30.0)
        yield process, url
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_the_process_serves_and_ends_with_0_on_sigterm_with_connections_open(database: Database) -> None:
    async with (
        query_service(database) as service,
        query_process(database) as (process, url),
        httpx.AsyncClient(base_url=url, timeout=30) as http,
    ):
        answer = await http.get(ORDERS, headers=await service.key())
        process.send_signal(signal.SIGTERM)
        output, _nothing = await asyncio.wait_for(process.communicate(), 20)

    lines = [orjson.loads(line) for line in output.splitlines()]
    assert answer.status_code == 200
    assert process.returncode == 0
    assert {line["process"] for line in lines} == {"query_api"}
    assert [line["status"] for line in lines if line.get("route") == ORDERS] == [200]


async def test_a_missing_setting_stops_the_start_with_one_line_that_names_it() -> None:
    process = await started({"PATH": os.environ["PATH"]})
    _output, complaint = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 1
    assert b"HARBOR_POSTGRES__URL" in complaint
    assert complaint.count(b"\n") == 1
