"""A response in one system call: its head waits for its body and both leave together.

uvicorn writes the head and the body of a response separately, and uvloop hands each write to the kernel at once: two
system calls and two wake-ups of the client, some 6 us a request under load. A head whose body does not follow in the
same pass of the event loop (a stream with nothing to say yet) leaves at the end of that pass. What is written to a
client that is gone is dropped: uvicorn marks only the last of pipelined requests, and uvloop raises for the others.
"""

import asyncio
from typing import Any, Final

_HEAD: Final = b"HTTP/1.1 "
_END: Final = b"\r\n\r\n"
_INTERIM: Final = b"HTTP/1.1 1"


class CoalescingTransport(asyncio.Transport):
    """The transport of a connection; holds the head of a response back until the next write."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, or hold a head back; what was held leaves in front of `data`."""
        head = self._head
        if head is not None:
            self._head = None
            self._send(head + data if data else head)
        elif isinstance(data, bytes) and data.endswith(_END) and _is_head(data):
            self._head = data
            self._loop.call_soon(self.flush)
        else:
            self._send(data)

    def _send(self, data: bytes | bytearray | memoryview) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def flush(self) -> None:
        """Write what is held back."""
        head, self._head = self._head, None
        if head is not None:
            self._send(head)

    def write_eof(self) -> None:
        """Write what is held back, then the end."""
        self.flush()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Write what is held back, then close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is held back is lost, like everything that was not sent."""
        self._head = None
        self._transport.abort()

    def is_closing(self) -> bool:
        """Return whether the connection is closing."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a fact about the connection."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Stop reading for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the connection's protocol."""
        return self._transport.get_protocol()


def _is_head(data: bytes) -> bool:
    return data.startswith(_HEAD) and not data.startswith(_INTERIM)
