"""Runs an HTTP service on uvicorn with httptools, and sets the bounds that uvicorn leaves out.

    await serve(app, stop, Listen(host, port))

An application is called when the head of a request is complete; until then only the server can watch. `BoundedProtocol`
gives a head `HEAD_DEADLINE_S` and `MAX_HEAD_BYTES`, and cuts off a peer that does not read its response. See
decision 0050.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from infra import clock
from infra.http.problems import (
    HEADERS_TOO_LARGE,
    MALFORMED_REQUEST,
    PROBLEM_JSON,
    REQUEST_TIMEOUT,
    Problem,
    ProblemType,
    render,
    request_urn,
)
from infra.http.server.coalescing_transport import CoalescingTransport

HEAD_DEADLINE_S: Final = 10.0
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_PIPELINED: Final = 256
"""Requests of one connection that may wait for the responses before theirs; uvicorn itself would queue any number."""
KEEP_ALIVE_S: Final = 30
FLUSH_DEADLINE_S: Final = 10.0
LINGER_S: Final = 2.0
DRAIN_S: Final = 12
_PHRASES: Final = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen, and how long a peer may take; port 0 takes any free one."""

    host: str
    port: int
    head_deadline_s: float = HEAD_DEADLINE_S
    flush_deadline_s: float = FLUSH_DEADLINE_S


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a deadline and a size for each request head, and a deadline for a peer that must read."""

    head_deadline_s: float = HEAD_DEADLINE_S
    flush_deadline_s: float = FLUSH_DEADLINE_S
    _head_timer: asyncio.TimerHandle | None = None
    _flush_timer: asyncio.TimerHandle | None = None
    _head_bytes: int = 0
    _is_in_body: bool = False
    _is_refused: bool = False
    _why: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the timer: a connection on which nothing arrives is closed too."""
        super().connection_made(CoalescingTransport(transport, self.loop))
        self._start_timer(self.head_deadline_s, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._stop_timer()
        self._stop_flush_timer()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio asks for a bool
        """Keep the connection for the response to a request that arrived whole: the client may only wait for it."""
        cycle = self.cycle
        if self._is_refused or not self._is_responding() or cycle.more_body:
            return False
        cycle.keep_alive = False
        return True

    def pause_writing(self) -> None:
        """Cut off a peer that does not read its response for a while; nothing else would ever end it."""
        super().pause_writing()
        self._flush_timer = self.loop.call_later(self.flush_deadline_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the flush timer: the peer reads again."""
        self._stop_flush_timer()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse; what the parser does not finish counts as part of a head, pipelined or not."""
        if self._is_refused:
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._is_refused:  # the parser gave up: only the time for the peer to read why runs now
            return
        if self._is_responding():
            self._stop_timer()
        elif self._head_timer is None:
            self._start_timer(self.head_deadline_s, self._head_is_late)
        if not self._is_in_body and self._head_bytes > MAX_HEAD_BYTES:
            self.refuse(HEADERS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Refuse too many requests at once, and an offer to change the protocol.

        The parser would read the body of such an offer as the next request.

        Raises:
            ValueError: the parser reports it as an error of the request, which is refused and the connection closed.
        """
        self._head_bytes = 0
        if self.parser.should_upgrade():
            self._why = "This service speaks HTTP/1.1 only and is no proxy: send it without Upgrade or CONNECT."
        elif len(self.pipeline) >= MAX_PIPELINED:
            self._why = f"No more than {MAX_PIPELINED} requests of a connection may wait: read the responses first."
        if self._why is not None:
            raise ValueError("refused")
        self._is_in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the body is complete, also one that the application did not read."""
        self._head_bytes = 0
        self._is_in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # as uvicorn calls it
        """Refuse what the parser refused with a problem document like every other refusal."""
        self.refuse(MALFORMED_REQUEST, self._why)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; cut it off if the peer does not take what was sent."""
        self._close()

    def refuse(self, kind: ProblemType, detail: str | None = None) -> None:
        """Respond without the application and close; a response that has begun is only cut.

        What still arrives is dropped for a while: closing at once would reset the connection, and the peer, still
        sending, would never see the response.
        """
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        if self._is_responding():
            if self.cycle.response_started:
                self._close()
                return
            self._disconnect_application()
        self.transport.write(_response(Problem(kind, detail)))
        self.transport.write_eof()
        self._start_timer(LINGER_S, self.transport.abort)

    def _is_responding(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn's type leaves out the time before the first request
        return cycle is not None and not cycle.response_complete

    def _disconnect_application(self) -> None:
        """Let the application see a client that is gone; what it still says about the broken request is dropped."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._head_bytes and not self._is_in_body:
            self.refuse(REQUEST_TIMEOUT)
        else:
            self._close()

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()  # waits for the peer to read what is in the buffer
            self._start_timer(self.flush_deadline_s, self.transport.abort)

    def _start_timer(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_timer()
        self._head_timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_flush_timer(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None


def _response(problem: Problem) -> bytes:
    request_id, status = clock.new_id_text(), problem.kind.status
    body = render(problem, request_urn(request_id), request_id)
    return b"\r\n".join(
        [
            b"HTTP/1.1 %d %b" % (status, _PHRASES[status]),
            b"content-type: " + PROBLEM_JSON,
            b"content-length: %d" % len(body),
            b"x-request-id: " + request_id.encode("ascii"),
            b"cache-control: no-store",
            b"connection: close",
            b"",
            body,
        ]
    )


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own, and ends with 0 after a drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def config_of(app: ASGIApp, listen: Listen) -> uvicorn.Config:
    """Return uvicorn's configuration; nothing of it comes from the environment."""

    class Protocol(BoundedProtocol):
        head_deadline_s = listen.head_deadline_s
        flush_deadline_s = listen.flush_deadline_s

    return uvicorn.Config(
        app,
        host=listen.host,
        port=listen.port,
        http=Protocol,
        ws="none",
        lifespan="on",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
        backlog=2048,
    )


async def serve(app: ASGIApp, stop: asyncio.Event, listen: Listen) -> None:
    """Serve until `stop` is set, then take no more connections, finish what was accepted, and return.

    Raises:
        SystemExit: the port is taken or the lifespan failed; uvicorn has logged why.
    """
    server = _Server(config_of(app, listen))

    async def drain_on_stop() -> None:
        await stop.wait()
        server.should_exit = True

    watcher = asyncio.create_task(drain_on_stop())
    try:
        await server.serve()
    finally:
        watcher.cancel()
