"""Runs an HTTP service on uvicorn, with the bounds uvicorn leaves out: how long and how large a request head may be.

    await serve(app, stop, Listen(host, port, "httptools"))

An application is called when the head of a request is complete; until then only the server can watch. `Bounded` does,
for both parsers: a head has `HEAD_DEADLINE_S` and `MAX_HEAD_BYTES`, a peer that does not read its answer is cut off.
Decision 0050.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from infra import clock
from infra.deadlines import Deadlines
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
from infra.http.server.idle_clock import IdleClock
from infra.http.server.strict_h11 import StrictConnection

HEAD_DEADLINE_S: Final = 10.0
MAX_HEAD_BYTES: Final = 64 * 1024
KEEP_ALIVE_S: Final = 30
FLUSH_DEADLINE_S: Final = 10.0
LINGER_S: Final = 2.0
DRAIN_S: Final = 12
_H11_BUFFER_BYTES: Final = 8 * MAX_HEAD_BYTES
_PHRASES: Final = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen and with which parser (`httptools` or `h11`); port 0 takes any free one."""

    host: str
    port: int
    parser: str
    head_deadline_s: float = HEAD_DEADLINE_S
    flush_deadline_s: float = FLUSH_DEADLINE_S


class Bounded:
    """Mixed into uvicorn's protocols: deadline and size of a request head, deadline of a flush."""

    head_deadline_s: float = HEAD_DEADLINE_S
    flush_deadline_s: float = FLUSH_DEADLINE_S
    idle: Deadlines
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    cycle: Any
    _timer: asyncio.TimerHandle | None = None
    _head_bytes: int = 0
    _is_refused: bool = False
    _stalled: asyncio.TimerHandle | None = None

    def is_in_body(self) -> bool:
        """Return whether the bytes that arrive now belong to a body; a body nobody wants is read and dropped."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock: a connection on which nothing arrives is closed too."""
        loop = asyncio.get_running_loop()
        self.loop = cast(asyncio.AbstractEventLoop, IdleClock(loop, self.idle))
        whole = CoalescingTransport(cast(asyncio.Transport, transport), loop)
        super().connection_made(whole)  # type: ignore[misc]  # uvicorn's protocol is the next class
        self._start_clock(self.head_deadline_s, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._stop_clock()
        self._reads_again()
        super().connection_lost(exc)  # type: ignore[misc]  # as above

    def eof_received(self) -> bool:
        """Answer what came whole before closing: a client may be done with sending and wait for its answer."""
        cycle = self.cycle
        if self._is_refused or cycle is None or cycle.response_complete or cycle.more_body:
            return False
        cycle.keep_alive = False
        return True

    def pause_writing(self) -> None:
        """Cut the peer off if it does not read its answer for a while: nothing else would ever end it."""
        super().pause_writing()  # type: ignore[misc]  # as above
        self._stalled = self.loop.call_later(self.flush_deadline_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the peer reads again."""
        self._reads_again()
        super().resume_writing()  # type: ignore[misc]  # as above

    def _reads_again(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def data_received(self, data: bytes) -> None:
        """Parse, then watch the head if it is not complete."""
        if self._is_refused:
            return
        super().data_received(data)  # type: ignore[misc]  # as above
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_clock()
            self._head_bytes = 0
            return
        if self._timer is None:
            self._start_clock(self.head_deadline_s, self._head_is_late)
        if not self.is_in_body():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.refuse(HEADERS_TOO_LARGE)

    def send_400_response(self, _message: str) -> None:
        """Refuse what the parser refused, as every other refusal looks."""
        self.refuse(MALFORMED_REQUEST)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; cut it off if the peer does not take what was sent."""
        self._close()

    def refuse(self, kind: ProblemType) -> None:
        """Answer without the application and close; into an answer under way nothing can be written.

        What still arrives is dropped for a while: closing at once would reset the connection, and the peer, still
        sending, would never see the answer.
        """
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started:
                self._close()
                return
            self._dismiss()
        self.transport.write(_answer(kind))
        self.transport.write_eof()
        self._start_clock(LINGER_S, self.transport.abort)

    def _dismiss(self) -> None:
        """Tell the application that its client is gone: what it still says about the broken request is dropped."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    def _head_is_late(self) -> None:
        self._timer = None
        if self._head_bytes and not self.is_in_body():
            self.refuse(REQUEST_TIMEOUT)
        else:
            self._close()

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()  # waits for the peer to read what is in the buffer
            self._start_clock(self.flush_deadline_s, self.transport.abort)

    def _start_clock(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_clock()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _answer(kind: ProblemType) -> bytes:
    request_id = clock.new_id_text()
    body = render(Problem(kind), request_urn(request_id), request_id)
    return b"\r\n".join(
        [
            b"HTTP/1.1 %d %b" % (kind.status, _PHRASES[kind.status]),
            b"content-type: " + PROBLEM_JSON,
            b"content-length: %d" % len(body),
            b"x-request-id: " + request_id.encode("ascii"),
            b"cache-control: no-store",
            b"connection: close",
            b"",
            body,
        ]
    )


class BoundedHttpTools(Bounded, HttpToolsProtocol):  # type: ignore[misc]  # asyncio asks `eof_received` for a bool
    """The fast parser, bounded. It reads a pipelined head while an answer is due, so that head is counted here."""

    _part: str = ""
    _pipelined_bytes: int = 0

    def is_in_body(self) -> bool:
        """Return whether a head is complete and its body is not."""
        return self._part == "body"

    def on_message_begin(self) -> None:
        """Note that a head has started."""
        self._part = "head"
        self._pipelined_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is complete, and refuse an offer to speak another protocol.

        The parser takes such a message as over at the end of its head, so its body would be read as the next request.

        Raises:
            ValueError: the parser reports it as an error of the request, which is refused and the connection closed.
        """
        if self.parser.should_upgrade():
            raise ValueError("no other protocol is spoken here")
        self._part = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the body is complete."""
        self._part = ""
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Bound a head that arrives while an earlier request is being answered."""
        super().data_received(data)
        if self._part == "head":
            self._pipelined_bytes += len(data)
            if self._pipelined_bytes > MAX_HEAD_BYTES:
                self.refuse(HEADERS_TOO_LARGE)


class BoundedH11(Bounded, H11Protocol):  # type: ignore[misc]  # as above
    """The parser in Python, made strict and bounded; it stops reading by itself while an answer is due."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read strictly from the first byte."""
        self.conn = StrictConnection(_H11_BUFFER_BYTES)
        super().connection_made(transport)

    def is_in_body(self) -> bool:
        """Return whether the peer is sending a body."""
        return self.conn.their_state is h11.SEND_BODY


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own, and ends with 0 after a drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def config_of(app: ASGIApp, listen: Listen) -> uvicorn.Config:
    """Return uvicorn's configuration; nothing of it comes from the environment."""
    parser = BoundedHttpTools if listen.parser == "httptools" else BoundedH11
    bounded = type(
        parser.__name__, (parser,), {"head_deadline_s": listen.head_deadline_s, "idle": Deadlines(KEEP_ALIVE_S)}
    )
    return uvicorn.Config(
        app,
        host=listen.host,
        port=listen.port,
        http=bounded,
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
