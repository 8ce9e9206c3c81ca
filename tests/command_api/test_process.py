"""The command service as its own process behind a real socket."""

import asyncio
import base64
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest

from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, PEPPER, partner_key
from tests.support.services.servers import Database, PostgresCluster
from tests.support.services.system import free_ports
from tests.support.waiting import eventually

CHECKOUT = Path(__file__).resolve().parents[2]
GOOD = orjson.dumps(order_body())
PATIENCE_S = 30.0
UNHURRIED = {"HARBOR_COMMAND_API__REQUEST_DEADLINE_S": "60"}
"""So that a machine that stalls does not answer in the place of what is asked."""


@dataclass(frozen=True, slots=True)
class Running:
    """One process and how to reach it."""

    process: subprocess.Popen[bytes]
    port: int
    key: str
    log: Path
    database: Database

    def head(self, key: bytes) -> bytes:
        """Return the head of a request for the order `GOOD`."""
        lines = [
            b"POST " + ORDERS.encode() + b" HTTP/1.1",
            b"Host: orders.test",
            b"Authorization: Bearer " + self.key.encode(),
            b"Content-Type: application/json",
            b"Content-Length: %d" % len(GOOD),
            b"Idempotency-Key: " + key,
        ]
        return b"\r\n".join([*lines, b"", b""])

    def client(self) -> httpx.AsyncClient:
        """Return a client with the key of a partner."""
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=PATIENCE_S)

    async def in_flight(self) -> int:
        """Return how many requests are at work, beside the one that asks."""
        async with self.client() as client:
            metrics = (await client.get("/metrics")).text
        [count] = re.findall(r"harbor_http_requests_in_flight (\d+)", metrics)
        return int(count) - 1

    def events(self) -> list[dict[str, object]]:
        """Return the log lines so far; what is being written at this moment is not a whole one yet."""
        whole, _end, _begun = self.log.read_bytes().rpartition(b"\n")
        return [orjson.loads(line) for line in whole.splitlines()]

    async def written(self) -> int:
        """Return how many events there are."""
        return len(await self.database.fetch("SELECT FROM harbor.events"))


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@contextmanager
def running(cluster: PostgresCluster, log: Path) -> Iterator[Running]:
    """Run `python -m command_api` on a database of its own until the context ends."""
    [port] = free_ports(1)
    database = asyncio.run(cluster.create_database())
    key = asyncio.run(partner_key(database))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HARBOR_")} | {
        "HARBOR_POSTGRES__URL": database.command_url,
        "HARBOR_SECURITY__API_KEY_PEPPER": PEPPER,
        "HARBOR_SECURITY__CURSOR_SECRET": "c" * 32,
        "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY": base64.b64encode(b"w" * 32).decode(),
        "HARBOR_COMMAND_API__PORT": str(port),
        **UNHURRIED,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "command_api"], cwd=CHECKOUT, env=environment, stdout=output, stderr=output
        )
    served = Running(process, port, key, log, database)
    try:
        asyncio.run(eventually(lambda: is_ready(served), timeout_s=PATIENCE_S))
        yield served
    finally:
        process.kill()
        process.wait()
        asyncio.run(cluster.drop_database(database.name))


async def is_ready(served: Running) -> bool:
    assert served.process.poll() is None, served.log.read_text()
    with suppress(httpx.TransportError):
        async with served.client() as client:
            return (await client.get("/readyz")).status_code == 200
    return False


@pytest.fixture(scope="module")
def served(postgres_cluster: PostgresCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a process that all tests but the last share; that one ends it."""
    with running(postgres_cluster, tmp_path_factory.mktemp("process") / "command_api.log") as process:
        yield process


async def test_a_client_that_goes_away_with_requests_under_way_is_no_error(served: Running) -> None:
    before = len(served.events())
    for client in range(5):
        async with connection(served.port) as (reader, writer):
            for number in range(30):
                writer.write(served.head(b"k-%d-%d" % (client, number)) + GOOD)
            assert b" 201 " in await reader.readline()
            writer.transport.abort()

    async def is_over() -> bool:
        return await served.in_flight() == 0

    await eventually(is_over)
    lines = served.events()[before:]
    handled = [line for line in lines if line["event"] == "command.handled"]
    assert len(handled) > 5, "requests were under way"
    assert [line for line in lines if line["level"] == "error" or "error" in line] == []
    assert {line["status"] for line in handled} <= {201, 499}


async def test_one_wide_line_tells_of_each_command_and_none_holds_personal_data(served: Running) -> None:
    async with served.client() as client:
        answer = await client.post(
            ORDERS, content=GOOD, headers={"idempotency-key": "wide-line", "x-request-id": "req-7"}
        )

    def lines() -> list[dict[str, object]]:
        return [line for line in served.events() if line.get("request_id") == "req-7"]

    await eventually(lambda: bool(lines()))
    [line] = lines()
    assert (line["event"], line["order_id"], line["partner"]) == ("command.handled", answer.json()["id"], "acme")
    assert (line["status"], line["replayed"], line["command"]) == (201, False, "create")
    assert answer.headers["consistency-token"].endswith(f".{line['position']}")
    assert isinstance(line["duration_ms"], float)
    assert b"buyer@example.com" not in served.log.read_bytes()
    assert served.key.encode() not in served.log.read_bytes()


async def test_sigterm_finishes_every_accepted_request_and_ends_with_0(served: Running) -> None:
    before = await served.written()
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connection(served.port)) for _ in range(20)]
        for number, (_, writer) in enumerate(connections):
            writer.write(served.head(b"last-%d" % number) + GOOD[:20])

        async def all_are_accepted() -> bool:
            return await served.in_flight() == 20

        await eventually(all_are_accepted)
        served.process.send_signal(signal.SIGTERM)
        await eventually(lambda: any(line["event"] == "process.stopping" for line in served.events()))
        for _, writer in connections:
            writer.write(GOOD[20:])
        statuses = [int((await reader.readline()).split()[1]) for reader, _ in connections]
    assert statuses == [201] * 20
    assert await asyncio.to_thread(served.process.wait) == 0
    assert await served.written() == before + 20
