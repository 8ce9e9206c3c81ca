"""The load generator: its requests, when a response is complete, and its two loops against a small server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.load.generator import generate
from tests.bench.load.loops import LoadError, LoadPlan
from tests.bench.load.requests import ORDER_BODY, RequestPlan, Source, source
from tests.bench.load.wire import NotUnderstoodError, Response
from tests.bench.report.model import NO_RESPONSE

CREATED = b'HTTP/1.1 201 Created\r\nlocation: /api/v1/orders/7\r\nContent-Length: 11\r\n\r\n{"id": "7"}'


def keys_of(next_request: Source, count: int) -> list[bytes]:
    requests = [next_request() for _ in range(count)]
    return [request.partition(b"Idempotency-Key: ")[2].partition(b"\r\n")[0] for request in requests if request]


def test_listed_keys_are_used_once_or_again_and_again_and_fresh_ones_never_twice() -> None:
    once = RequestPlan(kind="keys", listed=("a", "b"))
    assert keys_of(source(once), 4) == [b"a", b"b"]
    assert keys_of(source(once.model_copy(update={"kind": "repeated keys"})), 5) == [b"a", b"b", b"a", b"b", b"a"]
    assert len(set(keys_of(source(RequestPlan()), 100))) == 100


def test_each_listed_path_is_used_once_with_a_new_key_and_no_body() -> None:
    next_request = source(RequestPlan(kind="paths", listed=("/a/authorize", "/b/authorize"), body=b""))
    first, _, third = (next_request() for _ in range(3))
    assert third is None
    assert (first or b"").startswith(b"POST /a/authorize HTTP/1.1\r\n")
    assert b"Content-Length: 0\r\n" in (first or b"")


def test_every_order_of_a_batch_has_a_key_of_its_own() -> None:
    next_request = source(RequestPlan(kind="batches", path="/api/v1/orders/batch", orders=3, api_key="k"))
    bodies = [orjson.loads((next_request() or b"").partition(b"\r\n\r\n")[2]) for _ in range(2)]
    assert len({item["idempotency_key"] for body in bodies for item in body["orders"]}) == 6
    assert [item["order"] for item in bodies[0]["orders"]] == [orjson.loads(ORDER_BODY)] * 3


@given(st.lists(st.integers(1, len(CREATED) - 1), max_size=5, unique=True))
def test_a_response_is_complete_wherever_the_network_cuts_it(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(CREATED)]
    response = Response()
    complete = [response.feed(CREATED[begin:end]) for begin, end in pairwise(edges)]
    assert complete == [False] * (len(edges) - 2) + [True]
    assert (response.status, response.location) == (201, "/api/v1/orders/7")


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\n\r\n{}", CREATED + b"x"])
def test_a_response_of_unknown_length_is_not_counted(data: bytes) -> None:
    with pytest.raises(NotUnderstoodError):
        Response().feed(data)


class SmallServer(asyncio.Protocol):
    """Responds at once, but to request `stalls_at` after 0.3 s; hangs up on request `closes_at`."""

    def __init__(self, stalls_at: int, closes_at: int) -> None:
        self._stalls_at, self._closes_at = stalls_at, closes_at
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"POST"):
            return
        self._number += 1
        response = b"HTTP/1.1 201 Created\r\nLocation: /orders/%d\r\nContent-Length: 2\r\n\r\n{}" % self._number
        if self._number == self._closes_at:
            self._transport.close()
        elif self._number == self._stalls_at:
            asyncio.get_running_loop().call_later(0.3, self._transport.write, response)
        else:
            self._transport.write(response)


@asynccontextmanager
async def serving(*, stalls_at: int = -1, closes_at: int = -1) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SmallServer(stalls_at, closes_at), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def a_plan(port: int, **changes: object) -> LoadPlan:
    plan = LoadPlan(ports=(port,), connections=1, warmup_s=0.0, seconds=0.5, requests=RequestPlan())
    return plan.model_copy(update=changes)


@pytest.mark.server
async def test_a_closed_loop_ends_when_its_listed_requests_are_used_up() -> None:
    async with serving() as port:
        requests = RequestPlan(kind="keys", listed=tuple("abcdef"))
        result = await generate(a_plan(port, requests=requests, seconds=30.0, wants_locations=True))
    assert (result.done, result.statuses) == (6, {201: 6})
    assert result.locations == tuple(f"/orders/{number}" for number in range(1, 7))
    assert result.seconds < 30, "not at the end of its time"


@pytest.mark.server
async def test_a_closed_loop_hides_a_stall_and_an_open_loop_shows_all_that_waited() -> None:
    requests = RequestPlan(kind="keys", listed=tuple(map(str, range(500))))
    async with serving(stalls_at=20) as port:
        closed = await generate(a_plan(port, requests=requests, seconds=60.0))
        opened = await generate(a_plan(port, rate_per_s=200.0))
    assert (closed.done, closed.latency.max_ms >= 300, closed.latency.p99_ms < 300) == (500, True, True)
    assert (opened.done, opened.latency.p50_ms > 20) == (100, True)


@pytest.mark.server
async def test_what_was_sent_in_the_warm_up_is_not_measured() -> None:
    async with serving() as port:
        result = await generate(a_plan(port, rate_per_s=100.0, warmup_s=0.1, seconds=0.2))
    assert (result.sent, result.done) == (30, 20)


@pytest.mark.server
async def test_a_lost_connection_and_a_missing_server_are_reported(unused_tcp_port: int) -> None:
    async with serving(closes_at=3) as port:
        assert (await generate(a_plan(port))).statuses == {201: 2, NO_RESPONSE: 1}
    with pytest.raises(LoadError, match="does not answer"):
        await generate(a_plan(unused_tcp_port))
