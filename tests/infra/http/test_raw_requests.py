"""What a service does with the bytes of a connection: real sockets, and deadlines that are over before a test is.

That hostile requests are refused, each with its code, is in tests/test_hostile_requests.py.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from infra.http.problems import MAX_PROBLEM_BYTES
from infra.http.server.server import MAX_PIPELINED
from tests.support.services.small_service import IMPATIENT, SmallService, call, listening, small_service, talk
from tests.support.waiting import eventually

pytestmark = pytest.mark.server  # a real uvicorn, and deadlines that take their time

ORDER = b"POST /api/v1/things HTTP/1.1\r\n"
HOST = b"host: harbor.test\r\n"
CLOSE = b"connection: close\r\n"
LIVE = b"GET /livez HTTP/1.1\r\n" + HOST
HEAD_DEADLINE_S = 0.3


@dataclass(frozen=True, slots=True)
class Running:
    service: SmallService
    port: int

    def order(self, *headers: bytes) -> bytes:
        """Return the head of a POST with a good key."""
        key = b"authorization: Bearer " + self.service.keys.issue().encode() + b"\r\n"
        return ORDER + HOST + key + b"".join(headers) + b"\r\n"


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    service = small_service()
    async with listening(service.app) as port:
        yield Running(service, port)


@pytest.fixture
async def impatient() -> AsyncIterator[Running]:
    """Return a service whose deadlines are over before a test is."""
    service = small_service(IMPATIENT)
    async with listening(service.app, head_deadline_s=HEAD_DEADLINE_S) as port:
        yield Running(service, port)


def status_of(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


def code_of(response: bytes) -> str:
    head, body = response.split(b"\r\n\r\n", 1)
    assert b"content-type: application/problem+json" in head
    assert b"x-request-id: " in head
    assert len(body) <= MAX_PROBLEM_BYTES
    code: str = orjson.loads(body)["code"]
    return code


async def test_a_load_balancer_may_probe_by_http_1_0_without_a_host_and_by_head(running: Running) -> None:
    probe = await talk(running.port, b"GET /livez HTTP/1.0\r\n\r\n")
    head = await talk(running.port, b"HEAD /readyz HTTP/1.0\r\n\r\n")

    assert (status_of(probe), probe.endswith(b'{"status":"alive"}')) == (200, True)
    assert (status_of(head), head.endswith(b"\r\n\r\n"), b"content-length: 35" in head) == (200, True, True)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"CONNECT harbor.test:80 HTTP/1.1\r\n" + HOST + CLOSE, 400),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + CLOSE, 404),
        (b"OPTIONS /livez HTTP/1.1\r\n" + HOST + CLOSE, 405),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", 400),
        (LIVE + b"connection: upgrade\r\nupgrade: h2c\r\n", 400),
        (LIVE + b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n", 400),
    ],
)
async def test_what_is_no_request_of_ours_gets_a_problem_too(running: Running, raw: bytes, status: int) -> None:
    response = await talk(running.port, raw + b"\r\n")

    assert (status_of(response), bool(code_of(response))) == (status, True)
    assert (b"without Upgrade or CONNECT" in response) is (b"upgrade: " in raw or raw.startswith(b"CONNECT"))


@pytest.mark.parametrize("size", [1_001, 10_000_000])
async def test_a_body_that_is_too_large_is_refused_while_it_is_being_sent(running: Running, size: int) -> None:
    head = running.order(b"content-length: %d\r\n" % size)

    responses = await talk(running.port, head + b"a" * size + LIVE + CLOSE + b"\r\n")

    assert status_of(responses) == 413
    assert responses.count(b"HTTP/1.1 200 ") == 1, "the body was dropped and the next request served"


async def test_a_body_whose_framing_breaks_is_refused_once_and_the_application_hears_no_more(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    head = running.order(b"transfer-encoding: chunked\r\n")
    broken = (head + b"zz\r\n\r\n", head + b"2\r\n{}zz\r\n", b"DELETE" + head[4:] + b"zz\r\n\r\n")

    responses = [await talk(running.port, raw) for raw in broken]

    assert [status_of(response) for response in responses] == [400, 400, 400]
    assert all(response.count(b"HTTP/1.1 ") == 1 for response in responses)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("before", [b"", LIVE + b"\r\n"], ids=["the first head", "a later head"])
async def test_a_head_that_trickles_is_cut_off_at_its_deadline(impatient: Running, before: bytes) -> None:
    reader, writer = await call(impatient.port, before)
    if before:
        await reader.readuntil(b"}")
    reading = asyncio.create_task(reader.read())
    for byte in LIVE + b"x: " + b"a" * 10_000:  # to send it all would take minutes
        writer.write(bytes([byte]))
        await asyncio.wait([reading], timeout=0.02)
        if reading.done():
            break
    response = await asyncio.wait_for(reading, 60)
    writer.close()

    assert (status_of(response), code_of(response)) == (408, "request_timeout")


async def test_a_connection_on_which_nothing_arrives_is_closed(impatient: Running) -> None:
    assert await talk(impatient.port, b"") == b""


async def test_a_connection_that_was_refused_is_cut_although_the_peer_keeps_it_open(running: Running) -> None:
    reader, writer = await call(running.port, running.order(b"transfer-encoding: chunked\r\n") + b"zz\r\n\r\n")

    async def send_for_ever() -> None:
        while True:
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with asyncio.timeout(60):
        response = await reader.read()
        with pytest.raises(ConnectionError):
            await send_for_ever()

    assert status_of(response) == 400


async def test_a_client_that_is_done_with_sending_gets_the_responses_to_all_it_sent(running: Running) -> None:
    order = running.order(b"content-length: 2\r\n") + b"{}"

    assert status_of(await _half_closing(running.port, order)) == 201
    assert (await _half_closing(running.port, (LIVE + b"\r\n") * 3)).count(b"HTTP/1.1 200 ") == 3


async def test_a_client_that_was_done_with_sending_long_before_still_gets_a_slow_response(running: Running) -> None:
    slow = b"GET /api/v1/slow" + running.order().removeprefix(b"POST /api/v1/things")
    asking = asyncio.create_task(_half_closing(running.port, slow))
    await asyncio.wait([asking], timeout=0.2)  # the end of what it sends has arrived, on any but the slowest machine
    assert not asking.done()

    running.service.release.set()

    assert status_of(await asking) == 200


async def test_a_request_that_is_cut_off_in_the_middle_is_not_waited_for(running: Running) -> None:
    half_a_body = running.order(b"content-length: 2\r\n") + b"{"

    for cut in (b"", b"GET /livez HTTP/1.1\r\nhost: h", half_a_body):
        assert await _half_closing(running.port, cut) == b""


async def _half_closing(port: int, raw: bytes) -> bytes:
    """Send bytes and the end of them, and return all that comes back until the server closes."""
    reader, writer = await call(port, raw)
    async with asyncio.timeout(60):
        await writer.drain()
        writer.write_eof()
        response = await reader.read()
    writer.close()
    return response


@pytest.mark.parametrize("is_split", [False, True], ids=["one segment", "two segments"])
async def test_the_body_of_an_offer_to_upgrade_is_never_read_as_a_request(running: Running, *, is_split: bool) -> None:
    inner = LIVE + b"\r\n"
    head = running.order(b"content-length: %d\r\n" % len(inner), b"upgrade: h2c\r\nconnection: Upgrade\r\n")
    last = b"GET /nothing HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    async with asyncio.timeout(60):
        for part in (head, inner + last) if is_split else (head + inner + last,):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05 if is_split else 0)  # long enough to be a segment of its own
        responses = await reader.read()
    writer.close()

    assert b"alive" not in responses


async def test_a_client_that_pipelines_without_end_is_refused(running: Running) -> None:
    responses = await talk(running.port, (LIVE + b"\r\n") * 5_000)

    assert responses.count(b"HTTP/1.1 ") <= MAX_PIPELINED + 2
    assert responses.count(b"HTTP/1.1 400 ") == 1


async def test_a_peer_that_does_not_read_its_response_is_cut_off() -> None:
    ended = asyncio.Event()

    async def large_response(scope: Scope, receive: Receive, send: Send) -> None:
        """Serve 64 MB, more than any buffer between a server and a client takes: it ends when the peer is cut off."""
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{event}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(1024):
            await send({"type": "http.response.body", "body": b"a" * 65_536, "more_body": number < 1023})
        ended.set()

    async with listening(large_response, flush_deadline_s=0.3) as port:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", port))
            connection.sendall(LIVE + b"\r\n")  # and nothing after it, which the server would refuse
            await eventually(ended.is_set)
