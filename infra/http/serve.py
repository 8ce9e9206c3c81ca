"""Runs an HTTP service: uvicorn on uvloop, stopped by the same signals as every process of ours.

SIGTERM closes the listening socket, lets every accepted request finish, ends idle connections, and then closes what the
lifespan opened. The collector is frozen after start: what lives for ever is never walked again (decision 0040).
"""

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from infra import runtime
from infra.logs import get_logger

_BACKLOG: Final = 2048
_KEEP_ALIVE_S: Final = 75
_GARBAGE_THRESHOLDS: Final = (50_000, 20, 50)


class StartError(Exception):
    """The service cannot listen on its address."""


class _Server(uvicorn.Server):
    """Leaves signals to `infra.runtime`: uvicorn would raise them again at the end and so never exit with 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GARBAGE_THRESHOLDS)
        get_logger().info("http.listening", addresses=[str(listener.getsockname()) for listener in sockets or ()])


def serve(app: ASGIApp, *, host: str, port: int, http: str, drain_s: float) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    Args:
        app: the application.
        host: address to listen on.
        port: port to listen on; 0: any free one, the log line `http.listening` names it.
        http: parser of uvicorn, `httptools` or `h11`.
        drain_s: seconds that requests under way have after the signal.

    Raises:
        StartError: cannot listen.
        SystemExit: 3, the lifespan failed; the log says why.
    """

    async def main(stop: asyncio.Event) -> None:
        await _serve(app, stop, host=host, port=port, http=http, drain_s=drain_s)

    runtime.run(main, drain_s=drain_s + 5.0)


async def _serve(app: ASGIApp, stop: asyncio.Event, *, host: str, port: int, http: str, drain_s: float) -> None:
    config = uvicorn.Config(
        app,
        http="h11" if http == "h11" else "httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(drain_s)),
    )
    server = _Server(config)
    try:
        listener = socket.create_server((host, port), family=_family(host), backlog=_BACKLOG)
    except OSError as error:
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    await serving


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
