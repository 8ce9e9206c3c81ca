"""The command service as its own process behind a real socket."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import httpx
import orjson
import pytest
import pytest_asyncio

from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, PEPPER, partner_key
from tests.support.services.servers import Database, PostgresCluster
from tests.support.services.system import System, one_process
from tests.support.services.wire_client import make_request
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAME = "command_api"
GOOD = orjson.dumps(order_body())


@dataclass(frozen=True, slots=True)
class Running:
    """One process and how to reach it."""

    system: System
    port: int
    key: str
    database: Database

    def request(self, key: str) -> bytes:
        """Return a request for the order `GOOD` as bytes."""
        return make_request("POST", ORDERS, key=key, api_key=self.key, body=GOOD).raw

    def client(self) -> httpx.AsyncClient:
        """Return a client with the key of a partner."""
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30.0)

    async def in_flight(self) -> int:
        """Return how many requests are at work, beside the one that asks."""
        async with self.client() as client:
            metrics = (await client.get("/metrics")).text
        [count] = re.findall(r"harbor_http_requests_in_flight (\d+)", metrics)
        return int(count) - 1

    def events(self) -> list[dict[str, object]]:
        """Return the log lines so far; what is being written at this moment is not a whole one yet."""
        whole, _end, _begun = self.system.log(NAME).rpartition("\n")
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(postgres_cluster: PostgresCluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Return a process that all tests but the last share; that one ends it."""
    database = await postgres_cluster.create_database()
    key = await partner_key(database)
    unhurried = {"HARBOR_COMMAND_API__REQUEST_DEADLINE_S": "60"}  # which no request meets because the machine stalls
    logs = tmp_path_factory.mktemp("process")
    system, port = one_process(NAME, database.command_url, PEPPER, logs, **unhurried)
    try:
        await system.start(NAME)
        await system.ready(NAME)
        yield Running(system, port, key, database)
    finally:
        await system.stop()
        await postgres_cluster.drop_database(database.name)


async def test_a_client_that_goes_away_with_requests_under_way_is_no_error(served: Running) -> None:
    before = len(served.events())
    for client in range(5):
        async with connection(served.port) as (reader, writer):
            for number in range(30):
                writer.write(served.request(f"k-{client}-{number}"))
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


async def test_each_command_is_logged_in_one_wide_line_without_personal_data(served: Running) -> None:
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
    assert "buyer@example.com" not in served.system.log(NAME)
    assert served.key not in served.system.log(NAME)


async def test_sigterm_however_often_finishes_every_accepted_request_and_ends_with_0(served: Running) -> None:
    before = await served.written()
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connection(served.port)) for _ in range(20)]
        for number, (_, writer) in enumerate(connections):
            writer.write(served.request(f"last-{number}")[:-20])

        async def all_are_accepted() -> bool:
            return await served.in_flight() == 20

        await eventually(all_are_accepted)
        stopping = asyncio.create_task(served.system.stop())
        await eventually(lambda: any(line["event"] == "process.stopping" for line in served.events()))
        for _ in range(3):  # as a supervisor of several threads does that dies
            served.system.send(NAME, signal.SIGTERM)
        for _, writer in connections:
            writer.write(GOOD[-20:])
        statuses = [int((await reader.readline()).split()[1]) for reader, _ in connections]
    assert statuses == [201] * 20
    assert await stopping == {NAME: 0}
    assert await served.written() == before + 20
