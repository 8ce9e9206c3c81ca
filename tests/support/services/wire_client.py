"""A client that is quick enough to race services: ready-made bytes over many keep-alive connections to several ports.

What it does not know the outcome of (the connection ended, or a 5xx) it sends again with the same key, to the next
port, until it has a definite answer: what the service asks its clients to do.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Final, cast

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_FIRST_ERROR_OF_OURS: Final = 500


@dataclass(frozen=True, slots=True)
class Request:
    """One request as bytes, and the idempotency key in it."""

    key: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status, head without the status line, body."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value; None when it is not there."""
        found = re.search(rb"(?:^|\r\n)%b: *([^\r\n]*)" % name.encode(), self.head, re.IGNORECASE)
        return found[1].decode("latin-1") if found else None


@dataclass(frozen=True, slots=True)
class Reply:
    """The definite answer to one request, who gave it, and how often the outcome was unknown before."""

    request: Request
    answer: Answer
    port: int
    unknown: int


def make_request(
    method: str, path: str, *, key: str, api_key: str, body: bytes = b"", request_id: str | None = None
) -> Request:
    """Return a request with an idempotency key."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: orders.test",
        f"Authorization: Bearer {api_key}",
        f"Idempotency-Key: {key}",
        f"Content-Length: {len(body)}",
    ]
    if body:
        lines.append("Content-Type: application/json")
    if request_id is not None:
        lines.append(f"X-Request-Id: {request_id}")
    return Request(key, "\r\n".join(lines).encode("ascii") + _HEAD_END + body)


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        self.is_lost = False
        self._received = b""
        self._waiting: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer."""
        self._received += data
        answer = _complete(self._received)
        if answer is not None and self._waiting is not None and not self._waiting.done():
            self._received = b""
            self._waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.is_lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError(str(exc)))

    async def ask(self, request: Request) -> Answer:
        """Send a request and give its answer.

        Raises:
            ConnectionError: the connection ended first; the outcome is unknown.
        """
        if self.is_lost:
            raise ConnectionResetError("the connection was lost before")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request.raw)
        return await self._waiting

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


class Swarm:
    """Sends every request once, in their order, over connections that are spread over the ports; all open at first.

    Attributes:
        replies: so far, in the order of arrival.
    """

    def __init__(self, ports: Sequence[int], connections: int, requests: Iterable[Request]) -> None:
        self.replies: list[Reply] = []
        self._ports = ports
        self._connections = connections
        self._requests = iter(requests)
        self._all_open = asyncio.Barrier(connections)

    async def run(self) -> list[Reply]:
        """Send until every request has a definite answer; give them all."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._connections):
                group.create_task(self._work(number))
        return self.replies

    async def _work(self, number: int) -> None:
        mine: dict[int, Connection] = {}
        try:
            await _connected(mine, self._ports[number % len(self._ports)])
            await self._all_open.wait()
            for request in self._requests:
                self.replies.append(await self._settle(request, mine, self._rota(number)))
        finally:
            for connection in mine.values():
                connection.close()

    def _rota(self, number: int) -> Iterator[int]:
        return islice(cycle(self._ports), number % len(self._ports), None)

    async def _settle(self, request: Request, mine: dict[int, Connection], rota: Iterator[int]) -> Reply:
        unknown = 0
        for port in rota:
            try:
                connection = await _connected(mine, port)
            except ConnectionError:
                continue  # nothing was sent: refused, or accepted by the kernel for a process that was just killed
            try:
                answer = await connection.ask(request)
            except ConnectionError:
                unknown += 1
                continue
            if answer.status < _FIRST_ERROR_OF_OURS:
                return Reply(request, answer, port, unknown)
            unknown += 1
        raise AssertionError("a rota has no end")


async def _connected(mine: dict[int, Connection], port: int) -> Connection:
    if port not in mine or mine[port].is_lost:
        _, mine[port] = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return mine[port]


def _complete(received: bytes) -> Answer | None:
    """Return the answer when all of it has come."""
    end = received.find(_HEAD_END)
    if end < 0:
        return None
    length = _LENGTH.search(received, 0, end + 2)
    body = received[end + 4 :]
    if length is None or len(body) > int(length[1]):
        raise AssertionError(f"not an answer of this service: {received[:200]!r}")
    if len(body) < int(length[1]):
        return None
    status_line, _, head = received[:end].partition(b"\r\n")
    return Answer(int(status_line[9:12]), head, body)
