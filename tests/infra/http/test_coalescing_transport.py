"""The head and the body of a response leave in one write; nothing is held back longer than one pass of the loop."""

import asyncio
from collections.abc import Callable

import pytest

from infra.http.server.coalescing_transport import CoalescingTransport
from tests.support.services.small_service import RecordedTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"

Transports = tuple[CoalescingTransport, RecordedTransport]


@pytest.fixture
async def transports() -> Transports:
    recorded = RecordedTransport()
    return CoalescingTransport(recorded, asyncio.get_running_loop()), recorded


@pytest.mark.parametrize(
    ("writes", "leaves"),
    [
        pytest.param([HEAD, b"{}"], [HEAD + b"{}"], id="a head with its body"),
        pytest.param([HEAD, b""], [HEAD], id="a response without a body"),
        pytest.param([HEAD, b"{}", HEAD, b"[]"], [HEAD + b"{}", HEAD + b"[]"], id="several responses stay apart"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n"], [b"HTTP/1.1 100 Continue\r\n\r\n"], id="an interim response"),
        pytest.param([b"chunk\r\n\r\n"], [b"chunk\r\n\r\n"], id="a chunk that ends like a head"),
        pytest.param([b"HTTP/1.1 200 OK\r\n"], [b"HTTP/1.1 200 OK\r\n"], id="a part of a head"),
    ],
)
async def test_a_head_leaves_with_its_body_and_nothing_else_is_held_back(
    transports: Transports, writes: list[bytes], leaves: list[bytes]
) -> None:
    whole, recorded = transports
    for data in writes:
        whole.write(data)

    assert recorded.written == leaves


async def test_a_head_whose_body_does_not_come_yet_does_not_wait_for_it(transports: Transports) -> None:
    whole, recorded = transports
    whole.write(HEAD)
    await asyncio.sleep(0)
    whole.write(b"later")

    assert recorded.written == [HEAD, b"later"]


@pytest.mark.parametrize(
    ("end", "left"),
    [
        (CoalescingTransport.close, [HEAD, b"CLOSED"]),
        (CoalescingTransport.write_eof, [HEAD, b"EOF"]),
        (CoalescingTransport.abort, [b"ABORTED"]),
    ],
)
async def test_the_end_of_a_connection_comes_after_what_was_held_back(
    transports: Transports, end: Callable[[CoalescingTransport], None], left: list[bytes]
) -> None:
    whole, recorded = transports
    whole.write(HEAD)
    end(whole)
    await asyncio.sleep(0)

    assert recorded.written == left


async def test_what_is_written_to_a_client_that_is_gone_is_dropped(transports: Transports) -> None:
    whole, recorded = transports
    whole.write(HEAD)
    recorded.is_gone = True
    for data in (b"{}", b"later", HEAD):
        whole.write(data)
    whole.write_eof()
    await asyncio.sleep(0)

    assert recorded.written == []
