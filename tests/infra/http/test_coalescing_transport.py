"""The head and the body of an answer leave in one write; nothing is held back for longer than a pass of the loop."""

import asyncio
from collections.abc import Callable

import pytest

from infra.http.server.coalescing_transport import CoalescingTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Recorded(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_gone = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def write_eof(self) -> None:
        self.written.append(b"EOF")

    def close(self) -> None:
        self.written.append(b"CLOSED")

    def abort(self) -> None:
        self.written.append(b"ABORTED")

    def is_closing(self) -> bool:
        return self.is_gone


@pytest.fixture
async def transport() -> tuple[CoalescingTransport, Recorded]:
    recorded = Recorded()
    return CoalescingTransport(recorded, asyncio.get_running_loop()), recorded


async def test_a_head_leaves_with_its_body(transport: tuple[CoalescingTransport, Recorded]) -> None:
    whole, recorded = transport
    whole.write(HEAD)
    whole.write(b"{}")
    await asyncio.sleep(0)

    assert recorded.written == [HEAD + b"{}"]


async def test_an_answer_without_a_body_leaves_as_it_is(transport: tuple[CoalescingTransport, Recorded]) -> None:
    whole, recorded = transport
    whole.write(HEAD)
    whole.write(b"")

    assert recorded.written == [HEAD]


async def test_a_head_whose_body_does_not_come_yet_does_not_wait_for_it(
    transport: tuple[CoalescingTransport, Recorded],
) -> None:
    whole, recorded = transport
    whole.write(HEAD)
    await asyncio.sleep(0)
    whole.write(b"later")

    assert recorded.written == [HEAD, b"later"]


async def test_several_answers_in_one_pass_stay_apart(transport: tuple[CoalescingTransport, Recorded]) -> None:
    whole, recorded = transport
    for body in (b"{}", b"[]"):
        whole.write(HEAD)
        whole.write(body)
    await asyncio.sleep(0)

    assert recorded.written == [HEAD + b"{}", HEAD + b"[]"]


@pytest.mark.parametrize("data", [b"HTTP/1.1 100 Continue\r\n\r\n", b"chunk\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
async def test_what_is_no_head_is_never_held_back(transport: tuple[CoalescingTransport, Recorded], data: bytes) -> None:
    whole, recorded = transport
    whole.write(data)

    assert recorded.written == [data]


@pytest.mark.parametrize(
    ("end", "left"),
    [
        (CoalescingTransport.close, [HEAD, b"CLOSED"]),
        (CoalescingTransport.write_eof, [HEAD, b"EOF"]),
        (CoalescingTransport.abort, [b"ABORTED"]),
    ],
)
async def test_the_end_of_a_connection_comes_after_what_was_held_back(
    transport: tuple[CoalescingTransport, Recorded], end: Callable[[CoalescingTransport], None], left: list[bytes]
) -> None:
    whole, recorded = transport
    whole.write(HEAD)
    end(whole)
    await asyncio.sleep(0)

    assert recorded.written == left


async def test_what_is_written_to_a_client_that_is_gone_is_dropped(
    transport: tuple[CoalescingTransport, Recorded],
) -> None:
    whole, recorded = transport
    whole.write(HEAD)
    recorded.is_gone = True
    whole.write(b"{}")
    whole.write(b"later")
    whole.write(HEAD)
    whole.write_eof()
    await asyncio.sleep(0)

    assert recorded.written == []
