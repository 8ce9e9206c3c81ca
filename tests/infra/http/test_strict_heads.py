"""A head that two readers may read differently is refused by both parsers, wherever it stands and however it is cut."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from infra.http.server.server import Listen, config_of
from tests.support.services.small_service import listening, small_service, talk

pytestmark = pytest.mark.server  # a real uvicorn, on sockets and fed by hand

PARSERS: Final = ["httptools", "h11"]
GET: Final = b"GET /livez HTTP/1.1\r\nhost: harbor.test\r\n"
POST: Final = b"POST /livez HTTP/1.1\r\nhost: harbor.test\r\n"
GOOD: Final = {
    "a plain head": GET + b"\r\n",
    "a header without a value": GET + b"x:\r\n\r\n",
    "spaces around a value": GET + b"x: \t a b \t\r\n\r\n",
    "a body of loose lines": POST + b"content-length: 8\r\n\r\n\n a\n\tb\r\n",
    "a chunked body of loose lines": POST + b"transfer-encoding: chunked\r\n\r\n4\r\n\n a\n\r\n0\r\n\r\n",
}
LOOSE: Final = {
    "a bare LF after the request line": b"GET /livez HTTP/1.1\nhost: harbor.test\r\n\r\n",
    "a bare LF after a header": b"GET /livez HTTP/1.1\r\nhost: harbor.test\nx: a\r\n\r\n",
    "a bare LF before the empty line": b"GET /livez HTTP/1.1\r\nhost: harbor.test\n\r\n",
    "an empty line that is a bare LF": GET + b"\n",
    "bare LFs only": b"GET /livez HTTP/1.1\nhost: harbor.test\n\n",
    "a header folded with a space": GET + b"x: a\r\n b\r\n\r\n",
    "a header folded with a tab": GET + b"x: a\r\n\tb\r\n\r\n",
    "a fold before the first header": b"GET /livez HTTP/1.1\r\n host: harbor.test\r\n\r\n",
    "a folded length": POST + b"content-length:\r\n 2\r\n\r\n{}",
    "two equal lengths": POST + b"content-length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two equal lengths apart": POST + b"content-length: 2\r\nx: a\r\nCONTENT-LENGTH: 2\r\n\r\n{}",
    "a list of equal lengths": POST + b"content-length: 2, 2\r\n\r\n{}",
}
WHOLE: Final = pytest.mark.parametrize("loose", LOOSE.values(), ids=LOOSE)


@pytest.fixture(params=PARSERS)
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    async with listening(small_service().app, request.param) as port:
        yield port


@WHOLE
async def test_a_loose_head_is_refused_with_a_problem_and_the_connection_closed(port: int, loose: bytes) -> None:
    answer = await talk(port, loose)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b'"code":"malformed_request"' in answer


@WHOLE
async def test_a_loose_head_on_a_connection_that_served_before_is_refused(port: int, loose: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(60):
        writer.write(GOOD["a plain head"])
        first = await reader.readuntil(b"}")
        writer.write(loose)
        rest = await reader.read()
    writer.close()

    assert first.startswith(b"HTTP/1.1 200 ")
    assert rest.count(b"HTTP/1.1 400 ") == 1
    assert b'"code":"malformed_request"' in rest


@WHOLE
async def test_a_loose_head_behind_another_request_is_never_served(port: int, loose: bytes) -> None:
    answer = await talk(port, GOOD["a plain head"] + loose + GOOD["a plain head"])

    assert answer.count(b"HTTP/1.1 200 ") <= 1, "only the request before it"
    assert answer.count(b"HTTP/1.1 400 ") == 1


@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD)
async def test_what_follows_a_head_is_not_held_to_the_lines_of_a_head(port: int, good: bytes) -> None:
    answer = await talk(port, good + GET + b"connection: close\r\n\r\n")

    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 400 " not in answer


@pytest.mark.parametrize("trailers", [b"x: a\n\r\n", b"x: a\r\n b\r\n\r\n", b"\n"], ids=["bare LF", "folded", "empty"])
async def test_loose_trailers_are_refused(port: int, trailers: bytes) -> None:
    body = b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"

    answer = await talk(port, POST + body + trailers)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


class Wire(asyncio.Transport):
    """The server's end of a connection: it keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def write_eof(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    abort = close


async def answer_204(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def statuses_of(parser: str, parts: Sequence[bytes]) -> list[int]:
    """Hand the parts to a server one read at a time, and give the statuses it answers."""
    config = config_of(answer_204, Listen("127.0.0.1", 0, parser))
    config.load()
    state, wire = ServerState(), Wire()
    protocol = config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]  # as uvicorn calls it
    protocol.connection_made(wire)
    for part in parts:
        protocol.data_received(part)
    while state.tasks:  # an answer can start the next request
        await asyncio.wait(state.tasks)
    protocol.connection_lost(None)
    return [int(answer[:3]) for answer in wire.written.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("parser", PARSERS)
@WHOLE
async def test_a_loose_head_is_refused_whatever_two_reads_it_comes_in(parser: str, loose: bytes) -> None:
    for cut in range(1, len(loose)):
        assert await statuses_of(parser, [loose[:cut], loose[cut:]]) == [400], f"cut at {cut}"


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD)
async def test_a_good_request_is_served_whatever_two_reads_it_comes_in(parser: str, good: bytes) -> None:
    for cut in range(1, len(good)):
        assert await statuses_of(parser, [good[:cut], good[cut:]]) == [204], f"cut at {cut}"


@pytest.mark.parametrize("parser", PARSERS)
@given(
    loose=st.sampled_from(list(LOOSE.values())),
    before=st.sampled_from([b"", *GOOD.values()]),
    cuts=st.sets(st.integers(1, 220), max_size=30),
)
async def test_a_loose_head_is_refused_once_in_whatever_pieces_and_behind_whatever_it_comes(
    parser: str, loose: bytes, before: bytes, cuts: set[int]
) -> None:
    raw = before + loose
    ends = [*sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
    parts = [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    statuses = await statuses_of(parser, parts)

    assert statuses.count(400) == 1
    assert statuses[:-1] in ([], [204])
