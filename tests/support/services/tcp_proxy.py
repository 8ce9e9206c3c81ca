"""A TCP proxy in front of a server that forgets the answer to chosen requests, as a dying network does."""

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self


class CuttingProxy:
    """Relays bytes; after `cut_after_request(wanted)` it relays the next matching request and cuts before the answer.

    The server then acts on a request whose answer nobody hears: for a COMMIT that is the *unknown outcome*.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._wanted: Callable[[bytes], bool] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.cuts = 0

    @property
    def port(self) -> int:
        """Return the port the proxy listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut_after_request(self, wanted: Callable[[bytes], bool]) -> None:
        """Cut the next connection whose client sends bytes that `wanted` says yes to."""
        self._wanted = wanted

    def freeze(self) -> None:
        """Relay nothing more, as a server that is frozen: connections open, nobody answers."""
        self._flowing.clear()

    async def __aenter__(self) -> Self:
        """Listen on a free port of the loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._relay(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _relay(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(*self._target)
        answers = asyncio.create_task(_pump(server, to_client))
        try:
            await self._flowing.wait()
            while chunk := await client.read(65536):
                await self._flowing.wait()
                is_cut = self._wanted is not None and self._wanted(chunk)
                if is_cut:
                    self._wanted = None
                    await _cancelled(answers)
                to_server.write(chunk)
                await to_server.drain()
                if is_cut:
                    await server.read(1)  # the server has answered: it is committed
                    self.cuts += 1
                    return
        finally:
            await _cancelled(answers)
            to_server.close()


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(OSError, asyncio.CancelledError):
        await task


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.close()
