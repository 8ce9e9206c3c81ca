"""What uvicorn's parsers would let through is refused, on real sockets, with a problem document of at most 4 KB."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
import pytest

from infra.http.problems import MAX_PROBLEM_BYTES
from tests.support.services.small_service import IMPATIENT, SmallService, call, listening, small_service, talk

pytestmark = pytest.mark.server  # a real uvicorn, and deadlines that take their time

ORDER = b"POST /api/v1/things HTTP/1.1\r\n"
HOST = b"host: harbor.test\r\n"
CLOSE = b"connection: close\r\n"


@dataclass(frozen=True, slots=True)
class Running:
    service: SmallService
    port: int

    def authorized(self) -> bytes:
        return b"authorization: Bearer " + self.service.keys.issue().encode() + b"\r\n"


@pytest.fixture(params=["httptools", "h11"])
async def running(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    service = small_service()
    async with listening(service.app, request.param) as port:
        yield Running(service, port)


@pytest.fixture(params=["httptools", "h11"])
async def impatient(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    """Return a service whose deadlines are over before a test is."""
    service = small_service(IMPATIENT)
    async with listening(service.app, request.param, head_deadline_s=0.3) as port:
        yield Running(service, port)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def code_of(answer: bytes) -> str:
    head, body = answer.split(b"\r\n\r\n", 1)
    assert b"content-type: application/problem+json" in head
    assert b"x-request-id: " in head
    assert len(body) <= MAX_PROBLEM_BYTES
    code: str = orjson.loads(body)["code"]
    return code


async def test_a_good_request_is_served(running: Running) -> None:
    answer = await talk(running.port, ORDER + HOST + running.authorized() + CLOSE + b"content-length: 2\r\n\r\n{}")

    assert status_of(answer) == 201
    assert answer.endswith(b'{"bytes":2,"partner":"acme"}')


@pytest.mark.parametrize(
    ("headers", "status", "codes"),
    [
        pytest.param(b"content-length: 0\r\n", 400, {"host_invalid", "malformed_request"}, id="no Host"),
        pytest.param(HOST + b"host: other.test\r\n", 400, {"host_invalid", "malformed_request"}, id="two Hosts"),
        pytest.param(b"host: \r\n", 400, {"host_invalid", "malformed_request"}, id="empty Host"),
        pytest.param(
            HOST + b"content-length: 2\r\ncontent-length: 3\r\n",
            400,
            {"framing_ambiguous", "malformed_request"},
            id="two lengths",
        ),
        pytest.param(
            HOST + b"content-length: 2\r\ntransfer-encoding: chunked\r\n",
            400,
            {"framing_ambiguous", "malformed_request"},
            id="length beside chunking",
        ),
        pytest.param(HOST + b"content-length: -1\r\n", 400, {"malformed_request"}, id="negative length"),
        pytest.param(HOST + b"content-length: 5000\r\n", 413, {"body_too_large"}, id="declared too large"),
        pytest.param(HOST + b"x: " + b"a" * 40_000 + b"\r\n", 431, {"headers_too_large"}, id="40 KB header"),
        pytest.param(HOST + b"x: " + b"a" * 1_000_000 + b"\r\n", 431, {"headers_too_large"}, id="1 MB header"),
        pytest.param(HOST + b"x: a\r\n" * 20_000, 431, {"headers_too_large"}, id="20,000 headers"),
        pytest.param(
            HOST + b"authorization: Bearer a\r\nauthorization: Bearer b\r\n",
            400,
            {"header_repeated"},
            id="two Authorization headers",
        ),
        pytest.param(
            HOST + b"idempotency-key: a\r\nidempotency-key: a\r\n", 400, {"header_repeated"}, id="two Idempotency-Keys"
        ),
        pytest.param(HOST + b"content-encoding: gzip\r\n", 415, {"content_encoding_unsupported"}, id="gzip"),
        pytest.param(HOST + b"accept: text/html\r\n", 406, {"not_acceptable"}, id="HTML only"),
        pytest.param(
            HOST + b"authorization: Bearer " + b"a" * 100_000 + b"\r\n", 431, {"headers_too_large"}, id="100 KB key"
        ),
        pytest.param(HOST + b"authorization: Bearer h\xc3\xbcr\r\n", 401, {"api_key_malformed"}, id="non-ASCII key"),
        pytest.param(HOST + b"bad name: x\r\n", 400, {"malformed_request"}, id="space in a header name"),
        pytest.param(HOST + b"x: a\x00b\r\n", 400, {"malformed_request"}, id="NUL in a header"),
        pytest.param(HOST, 401, {"api_key_missing"}, id="no key"),
    ],
)
async def test_a_bad_head_is_refused(running: Running, headers: bytes, status: int, codes: set[str]) -> None:
    answer = await talk(running.port, ORDER + headers + CLOSE + b"\r\n")

    assert status_of(answer) == status
    assert code_of(answer) in codes


@pytest.mark.parametrize("size", [1_001, 10_000_000])
async def test_a_body_that_is_too_large_is_answered_though_it_is_still_being_sent(running: Running, size: int) -> None:
    head = ORDER + HOST + running.authorized() + b"content-length: %d\r\n\r\n" % size
    last = b"GET /livez HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"

    answer = await talk(running.port, head + b"a" * size + last)

    assert status_of(answer) == 413
    assert answer.count(b"HTTP/1.1 200 ") == 1, "the body was dropped and the next request served"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"GET /livez\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"GET  /livez HTTP/1.1\r\nhost: a\r\n\r\n\x00", id="two spaces"),
        pytest.param(b"GET /livez HTTP/9.9\r\nhost: a\r\n\r\n", id="a version there is not"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="a TLS hello"),
        pytest.param(b"GET /livez HTTP/1.1\r\nhost: a\r\n folded: x\r\n\x01\r\n\r\n", id="a control byte"),
    ],
)
async def test_what_is_not_http_is_refused_and_the_connection_closed(impatient: Running, raw: bytes) -> None:
    answer = await talk(impatient.port, raw)

    assert status_of(answer) in {400, 408}


@pytest.mark.parametrize("method", [b"TRACE", b"OPTIONS", b"DELETE"])
async def test_other_methods_are_refused_with_the_allowed_ones(running: Running, method: bytes) -> None:
    answer = await talk(running.port, method + b" /api/v1/twice HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")

    assert status_of(answer) == 405
    assert b"allow: GET, PUT" in answer


async def test_a_body_whose_framing_breaks_is_refused_once_and_the_application_hears_no_more(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    head = ORDER + HOST + running.authorized() + b"transfer-encoding: chunked\r\n\r\n"

    answers = [await talk(running.port, head + body) for body in (b"zz\r\n\r\n", b"2\r\n{}zz\r\n")]
    wrong_method = await talk(running.port, b"DELETE" + head[4:] + b"zz\r\n\r\n")

    assert [status_of(answer) for answer in (*answers, wrong_method)] == [400, 400, 400]
    assert all(answer.count(b"HTTP/1.1 ") == 1 for answer in (*answers, wrong_method))
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_head_that_never_ends_is_cut_off(impatient: Running) -> None:
    answer = await talk(impatient.port, ORDER + HOST)

    assert status_of(answer) == 408
    assert code_of(answer) == "request_timeout"


async def test_a_connection_on_which_nothing_arrives_is_closed(impatient: Running) -> None:
    assert await talk(impatient.port, b"") == b""


async def test_a_head_that_trickles_after_an_answer_is_cut_off(impatient: Running) -> None:
    reader, writer = await call(impatient.port, b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n")
    first = await reader.readuntil(b"\r\n\r\n")

    writer.write(b"GET /livez HT")
    async with asyncio.timeout(60):
        rest = await reader.read()
    writer.close()

    assert status_of(first) == 200
    assert b"HTTP/1.1 408 " in rest


async def test_a_body_that_never_comes_is_answered_at_the_deadline(impatient: Running) -> None:
    head = ORDER + HOST + impatient.authorized() + CLOSE + b"content-length: 100\r\n\r\n"

    answer = await talk(impatient.port, head + b"{")

    assert status_of(answer) == 503
    assert code_of(answer) == "deadline_exceeded"
    assert b"retry-after: 1" in answer


async def test_a_header_without_end_is_refused_while_it_is_being_sent(running: Running) -> None:
    answer = await talk(running.port, ORDER + HOST + b"x: " + b"a" * 5_000_000)

    assert status_of(answer) == 431
    assert code_of(answer) == "headers_too_large"


async def test_an_address_counts_as_headers_do(running: Running) -> None:
    answer = await talk(running.port, b"GET /api/v1/twice?" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")

    assert status_of(answer) == 431


async def test_two_requests_on_one_connection_are_both_answered(running: Running) -> None:
    one = b"GET /livez HTTP/1.1\r\n" + HOST

    answer = await talk(running.port, one + b"\r\n" + one + CLOSE + b"\r\n")

    assert answer.count(b"HTTP/1.1 200 ") == 2


async def test_a_client_that_is_done_with_sending_gets_its_answer_and_then_the_end(running: Running) -> None:
    order = ORDER + HOST + running.authorized() + b"content-length: 2\r\n\r\n{}"

    assert status_of(await _half_closing(running.port, order)) == 201


async def test_an_answer_that_takes_a_while_is_given_to_a_client_that_was_done_with_sending_long_before(
    running: Running,
) -> None:
    asking = asyncio.create_task(
        _half_closing(running.port, b"GET /api/v1/slow HTTP/1.1\r\n" + HOST + running.authorized() + b"\r\n")
    )
    await asyncio.wait([asking], timeout=0.2)  # the end of what it sends has arrived, on any but the slowest machine
    assert not asking.done()

    running.service.release.set()

    assert status_of(await asking) == 200


async def test_pipelined_requests_of_a_client_that_is_done_with_sending_are_all_answered() -> None:
    async with listening(small_service().app, "httptools") as port:
        answer = await _half_closing(port, (b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n") * 3)

    assert answer.count(b"HTTP/1.1 200 ") == 3


async def test_a_request_that_is_cut_off_in_the_middle_is_not_waited_for(running: Running) -> None:
    half_a_body = ORDER + HOST + running.authorized() + b"content-length: 2\r\n\r\n{"

    for cut in (b"", b"GET /livez HTTP/1.1\r\nhost: h", half_a_body):
        assert await _half_closing(running.port, cut) == b""


async def _half_closing(port: int, raw: bytes) -> bytes:
    """Send bytes and the end of them, and give all that comes back until the server closes."""
    reader, writer = await call(port, raw)
    async with asyncio.timeout(60):
        await writer.drain()
        writer.write_eof()
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("is_split", [False, True], ids=["one segment", "two segments"])
async def test_the_body_of_an_offer_to_upgrade_is_never_read_as_a_request(running: Running, *, is_split: bool) -> None:
    inner = b"GET /livez HTTP/1.1\r\nhost: harbor.test\r\n\r\n"
    head = ORDER + HOST + running.authorized() + b"content-length: %d\r\n" % len(inner)
    head += b"upgrade: h2c\r\nconnection: Upgrade\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    async with asyncio.timeout(60):
        for part in (head, inner + last) if is_split else (head + inner + last,):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05 if is_split else 0)  # long enough to be a segment of its own
        answers = await reader.read()
    writer.close()

    assert b"alive" not in answers


@pytest.mark.parametrize("parser", ["httptools", "h11"])
async def test_a_peer_that_does_not_read_its_answers_is_cut_off(parser: str) -> None:
    async with listening(small_service().app, parser, flush_deadline_s=0.3) as port:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", port))
        asked = b"GET /openapi.json HTTP/1.1\r\nhost: harbor.test\r\n\r\n" * 2000

        async def ask_for_ever() -> None:
            while True:  # until the server takes no more, and then until it has had enough
                await loop.sock_sendall(connection, asked)

        with connection, pytest.raises(ConnectionError):
            await asyncio.wait_for(ask_for_ever(), 60)
