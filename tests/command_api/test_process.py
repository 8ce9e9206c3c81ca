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

import asyncpg
import httpx
import orjson
import pytest

from tests.support.orders.builders import order_body
from tests.support.requests.refused_requests import REFUSED
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

    def head(self, *lines: bytes, path: bytes = ORDERS.encode(), method: bytes = b"POST") -> bytes:
        """Return the head of a good request for an order, with further lines, without its end."""
        start = [
            method + b" " + path + b" HTTP/1.1",
            b"Host: orders.test",
            b"Authorization: Bearer " + self.key.encode(),
            b"Content-Type: application/json",
        ]
        return b"\r\n".join([*start, *lines]) + b"\r\n"

    async def send(self, request: bytes) -> int | None:
        """Send bytes on a new connection and return the status of the response; None when it was only closed."""
        line = b""
        async with connection(self.port) as (reader, writer):
            with suppress(ConnectionError):
                writer.write(request)
                await writer.drain()
            with suppress(ConnectionError):
                async with asyncio.timeout(PATIENCE_S):
                    line = await reader.readline()
        return int(line.split()[1]) if line else None

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
        connection = await asyncpg.connect(self.database.admin_url)
        try:
            count: int = await connection.fetchval("SELECT count(*) FROM harbor.events")
            return count
        finally:
            await connection.close()


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


async def test_a_client_that_is_still_sending_gets_its_refusal_and_goes_on(served: Running) -> None:
    before = await served.written()
    async with connection(served.port) as (reader, writer):
        head = served.head(b"Idempotency-Key: k", b"Transfer-Encoding: chunked") + b"\r\n"
        writer.write(head + (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 40)
        writer.write(b"0\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            answers = await reader.read()

    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) == [b"413", b"200"]
    assert await served.written() == before


async def test_a_client_that_goes_away_with_requests_under_way_is_no_error(served: Running) -> None:
    before = len(served.events())
    for client in range(5):
        async with connection(served.port) as (reader, writer):
            length = b"Content-Length: %d" % len(GOOD)
            for number in range(30):
                writer.write(served.head(b"Idempotency-Key: k-%d-%d" % (client, number), length) + b"\r\n" + GOOD)
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


ANSWERED_ELSEWHERE = {
    "JSON: 10 MB",
    "header: a header of 1 MB",
    "credential: a key of 100 KB",
    "address: a made-up method",
}
"""Refused by the parser (400), or in the middle of sending, where a peer may see a reset: `RAW` has their like."""


async def test_every_bad_request_is_refused_over_a_socket_and_writes_nothing(served: Running) -> None:
    before = await served.written()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", timeout=PATIENCE_S) as client:
        for name, refused in REFUSED.items():
            if name in ANSWERED_ELSEWHERE:
                continue
            headers = {"authorization": f"Bearer {served.key}"} | dict(refused.headers)
            request = client.build_request(
                refused.method,
                refused.path,
                content=refused.body,
                headers=[
                    (key.encode(), value.encode("latin-1")) for key, value in headers.items() if value or "id" in key
                ],
            )
            answer = await client.send(request)
            assert (answer.status_code, answer.json()["code"]) == (refused.status, refused.code), name
            assert len(answer.content) <= 4096, name
    assert await served.written() == before


RAW = {
    "no Host": ([b"Content-Length: 2"], b"{}", {400}),
    "two Hosts": ([b"Host: other.test", b"Content-Length: 2"], b"{}", {400}),
    "two lengths": ([b"Content-Length: 2", b"Content-Length: 3"], b"{}", {400}),
    # h11 makes one of two equal lengths (RFC 9112 6.3 lets it): the body is clear, and refused as one.
    "two equal lengths": ([b"Content-Length: 2", b"Content-Length: 2"], b"{}", {400, 422}),
    "length and chunking": ([b"Content-Length: 2", b"Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\n\r\n", {400}),
    "a negative length": ([b"Content-Length: -1"], b"", {400}),
    "a length of letters": ([b"Content-Length: two"], b"{}", {400}),
    "a length of 10 MB": ([b"Content-Length: 10000000"], b'{"a":"', {413}),
    "a length of 10^30": ([b"Content-Length: 1" + b"0" * 30], b"{}", {400, 413}),
    "a broken chunk": ([b"Transfer-Encoding: chunked"], b"zz\r\n{}\r\n", {400}),
    "chunks of 2 MiB": ([b"Transfer-Encoding: chunked"], (b"10000\r\n" + b" " * 65536 + b"\r\n") * 32, {413}),
    "an unknown coding": ([b"Transfer-Encoding: gzip, chunked"], b"2\r\n{}\r\n0\r\n\r\n", {400, 501}),
    "two idempotency keys": ([b"Idempotency-Key: other", b"Content-Length: 2"], b"{}", {400}),
    "two credentials": ([b"Authorization: Bearer other", b"Content-Length: 2"], b"{}", {400}),
    "a folded header": ([b"X-Long: a", b" b", b"Content-Length: 2"], b"{}", {400, 422}),
    "a header without a name": ([b": value", b"Content-Length: 2"], b"{}", {400}),
    "a header with a null": ([b"X-Null: a\x00b", b"Content-Length: 2"], b"{}", {400}),
    "a header of 1 MB": ([b"X-Padding: " + b"x" * 1_000_000, b"Content-Length: 2"], b"{}", {400, 431}),
    "20,000 headers": ([b"X-%d: 1" % number for number in range(20_000)], b"", {400, 431}),
    "a gzip body": ([b"Content-Encoding: gzip", b"Content-Length: 2"], b"\x1f\x8b", {415}),
}


async def test_what_no_http_client_would_send_is_refused_or_cut_off_and_writes_nothing(served: Running) -> None:
    before = await served.written()
    for name, (lines, body, allowed) in RAW.items():
        head = served.head(b"Idempotency-Key: raw", *lines)
        if name == "no Host":
            head = head.replace(b"Host: orders.test\r\n", b"")
        status = await served.send(head + b"\r\n" + body)
        assert status in allowed or status is None, (name, status)
    for request in (b"GET /\r\n\r\n", b"POST\r\n\r\n", b"\x00\r\n\r\n"):
        assert await served.send(request) in {None, 400, 408}, request
    fine = served.head(b"Idempotency-Key: raw", b"Transfer-Encoding: chunked")
    assert await served.send(fine + b"\r\n%x\r\n" % len(GOOD) + GOOD + b"\r\n0\r\n\r\n") == 201
    assert not [line for line in served.events() if line.get("level") == "error"]
    assert await served.written() == before + 1


async def test_sigterm_finishes_every_accepted_request_and_ends_with_0(served: Running) -> None:
    before = await served.written()
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connection(served.port)) for _ in range(20)]
        for number, (_, writer) in enumerate(connections):
            length = b"Content-Length: %d" % len(GOOD)
            writer.write(served.head(b"Idempotency-Key: last-%d" % number, length) + b"\r\n" + GOOD[:20])

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
