"""A client fast enough to race services: ready-made bytes over many keep-alive connections to several ports.

A request of unknown outcome (the connection ended, or a 5xx) is sent again with the same key, to the next port, until
there is a definite response: what the service asks of its clients.
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
class Response:
    """One response: status, head without the status line, body."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value; None when it is not there."""
        found = re.search(rb"(?:^|\r\n)%b: *([^\r\n]*)" % name.encode(), self.head, re.IGNORECASE)
        return found[1].decode("latin-1") if found else None


@dataclass(frozen=True, slots=True)
class Reply:
    """The definite response to one request, its port, and how often the outcome was unknown before."""

    request: Request
    response: Response
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
        self._waiting: asyncio.Future[Response] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a part of the response."""
        self._received += data
        response = _complete(self._received)
        if response is not None and self._waiting is not None and not self._waiting.done():
            self._received = b""
            self._waiting.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request under way."""
        self.is_lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError(str(exc)))

    async def send(self, request: Request) -> Response:
        """Send a request and return its response.

        Raises:
            ConnectionError: the connection ended first; the outcome is unknown.
        """
        if self.is_lost:
            raise ConnectionResetError("the connection was lost before")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request.raw)
        return await self._waiting

    def close(self) -> None:
        """Close it."""
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
        """Send until every request has a definite response; return all of them."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._connections):
                group.create_task(self._work(number))
        return self.replies

    async def _work(self, number: int) -> None:
        connections: dict[int, Connection] = {}
        try:
            await _connected(connections, self._ports[number % len(self._ports)])
            await self._all_open.wait()
            for request in self._requests:
                self.replies.append(await self._resolve(request, connections, self._ports_from(number)))
        finally:
            for connection in connections.values():
                connection.close()

    def _ports_from(self, number: int) -> Iterator[int]:
        return islice(cycle(self._ports), number % len(self._ports), None)

    async def _resolve(self, request: Request, connections: dict[int, Connection], ports: Iterator[int]) -> Reply:
        unknown = 0
        for port in ports:
            try:
                connection = await _connected(connections, port)
            except ConnectionError:
                continue  # nothing was sent: refused, or accepted by the kernel for a process that was just killed
            try:
                response = await connection.send(request)
            except ConnectionError:
                unknown += 1
                continue
            if response.status < _FIRST_ERROR_OF_OURS:
                return Reply(request, response, port, unknown)
            unknown += 1
        raise AssertionError("the ports are repeated without end")


async def _connected(connections: dict[int, Connection], port: int) -> Connection:
    if port not in connections or connections[port].is_lost:
        _, connections[port] = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connections[port]


def _complete(received: bytes) -> Response | None:
    """Return the response once it is complete."""
    end = received.find(_HEAD_END)
    if end < 0:
        return None
    length = _LENGTH.search(received, 0, end + 2)
    body = received[end + 4 :]
    if length is None or len(body) > int(length[1]):
        raise AssertionError(f"not a response of this service: {received[:200]!r}")
    if len(body) < int(length[1]):
        return None
    status_line, _, head = received[:end].partition(b"\r\n")
    return Response(int(status_line[9:12]), head, body)
