"""The two loops of the generator, against a small server in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.bench.load import generate
from tests.bench.loops import LoadError, LoadPlan
from tests.bench.model import NO_ANSWER
from tests.bench.orders import RequestPlan

pytestmark = pytest.mark.server  # real sockets or processes, and deadlines that take their time

ANSWER = b"HTTP/1.1 201 Created\r\nLocation: /orders/%d\r\nContent-Length: 2\r\n\r\n{}"


class SmallServer(asyncio.Protocol):
    """Answers at once, but request `stalls_at` after `stall_s` seconds; hangs up on request `closes_after`."""

    def __init__(self, *, stalls_at: int = -1, stall_s: float = 0.0, closes_after: int = -1) -> None:
        self._stalls_at, self._stall_s, self._closes_after = stalls_at, stall_s, closes_after
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"POST"):
            return
        self._number += 1
        if self._number == self._closes_after:
            self._transport.close()
        elif self._number == self._stalls_at:
            asyncio.get_running_loop().call_later(self._stall_s, self._answer, self._number)
        else:
            self._answer(self._number)

    def _answer(self, number: int) -> None:
        self._transport.write(ANSWER % number)


@asynccontextmanager
async def serving(**behaviour: float) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(
        lambda: SmallServer(
            stalls_at=int(behaviour.get("stalls_at", -1)),
            stall_s=behaviour.get("stall_s", 0.0),
            closes_after=int(behaviour.get("closes_after", -1)),
        ),
        "127.0.0.1",
        0,
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def a_plan(port: int, **changes: object) -> LoadPlan:
    plan = LoadPlan(ports=(port,), connections=1, warmup_s=0.0, seconds=0.5, requests=RequestPlan())
    return plan.model_copy(update=changes)


async def test_a_closed_loop_ends_when_its_listed_requests_are_used_up_and_tells_where_the_orders_are() -> None:
    async with serving() as port:
        requests = RequestPlan(kind="keys", listed=tuple("abcdef"))
        result = await generate(a_plan(port, requests=requests, seconds=30.0, wants_locations=True))
    assert (result.done, result.statuses) == (6, {201: 6})
    assert result.locations == tuple(f"/orders/{number}" for number in range(1, 7))
    assert result.seconds < 30, "not at the end of its time"


async def test_a_closed_loop_hides_a_stall_and_an_open_loop_shows_everybody_who_waited() -> None:
    thousand = RequestPlan(kind="keys", listed=tuple(map(str, range(1000))))
    async with serving(stalls_at=20, stall_s=0.3) as port:
        closed = await generate(a_plan(port, requests=thousand, seconds=60.0))
        opened = await generate(a_plan(port, rate_per_s=200.0))
    # one request of a thousand was slow
    assert closed.done == 1000
    assert closed.latency.max_ms >= 300
    assert closed.latency.p99_ms < 300
    # but whoever came at a fixed rate while it lasted waited too
    assert opened.done == 100
    assert opened.latency.p50_ms > 20


async def test_a_lost_connection_is_counted_and_not_forgotten() -> None:
    async with serving(closes_after=3) as port:
        result = await generate(a_plan(port))
    assert result.statuses == {201: 2, NO_ANSWER: 1}


async def test_what_was_sent_in_the_warm_up_is_not_measured() -> None:
    async with serving() as port:
        result = await generate(a_plan(port, rate_per_s=100.0, warmup_s=0.3, seconds=0.2))
    assert (result.sent, result.done) == (50, 20)


async def test_a_server_that_is_not_there_is_said_so(unused_tcp_port: int) -> None:
    with pytest.raises(LoadError, match="does not answer"):
        await generate(a_plan(unused_tcp_port))
