"""A request head that two readers may read differently is refused, wherever it stands and however it is cut."""

import asyncio
from collections.abc import Sequence
from typing import Final

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from infra.http.server.server import Listen, config_of
from tests.support.services.small_service import RecordedTransport

GET: Final = b"GET /livez HTTP/1.1\r\nhost: harbor.test\r\n"
POST: Final = b"POST /livez HTTP/1.1\r\nhost: harbor.test\r\n"
PLAIN: Final = GET + b"\r\n"
GOOD: Final = {
    "a plain head": PLAIN,
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
LOOSE_TRAILERS: Final = {"bare LF": b"x: a\n\r\n", "folded": b"x: a\r\n b\r\n\r\n", "empty line": b"\n"}


async def answer_204(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def statuses_of(parts: Sequence[bytes]) -> list[int]:
    """Hand the parts to the server one read at a time; return the statuses of its responses."""
    config = config_of(answer_204, Listen("127.0.0.1", 0))
    config.load()
    state, transport = ServerState(), RecordedTransport()
    protocol = config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]  # as uvicorn calls it
    protocol.connection_made(transport)
    for part in parts:
        protocol.data_received(part)
    while state.tasks:  # a response can start the next request
        await asyncio.wait(state.tasks)
    protocol.connection_lost(None)
    return [int(response[:3]) for response in b"".join(transport.written).split(b"HTTP/1.1 ")[1:]]


def reads_of(raw: bytes) -> list[list[bytes]]:
    """Return the bytes in one read, in any two reads, and byte by byte."""
    return [[raw], *([raw[:cut], raw[cut:]] for cut in range(1, len(raw))), [raw[i : i + 1] for i in range(len(raw))]]


@pytest.mark.parametrize("loose", LOOSE.values(), ids=LOOSE)
async def test_a_loose_head_is_refused_and_nothing_after_it_is_read(loose: bytes) -> None:
    for parts in reads_of(loose):
        assert await statuses_of([*parts, PLAIN]) == [400], parts


@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD)
async def test_a_loose_head_behind_a_good_request_is_refused(good: bytes) -> None:
    for loose in LOOSE.values():
        for parts in ([good + loose], [good, loose]):
            statuses = await statuses_of([*parts, PLAIN])
            assert statuses in ([400], [204, 400]), loose


@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD)
async def test_a_good_request_is_served_however_it_is_cut(good: bytes) -> None:
    for parts in reads_of(good):
        assert await statuses_of([*parts, PLAIN]) == [204, 204], parts


@pytest.mark.parametrize("trailers", LOOSE_TRAILERS.values(), ids=LOOSE_TRAILERS)
async def test_loose_trailers_are_refused(trailers: bytes) -> None:
    chunked = POST + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"

    assert await statuses_of([chunked + trailers]) == [400]
