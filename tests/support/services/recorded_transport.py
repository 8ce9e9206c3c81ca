"""The server's end of a connection that nobody is at the other end of: it keeps what is written."""

import asyncio


class RecordedTransport(asyncio.Transport):
    """Keeps each write; `is_gone` makes it say that the peer has left."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_gone = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the data."""
        self.written.append(bytes(data))

    def write_eof(self) -> None:
        """Keep that the end was written."""
        self.written.append(b"EOF")

    def close(self) -> None:
        """Keep that it was closed."""
        self.written.append(b"CLOSED")
        self.is_gone = True

    def abort(self) -> None:
        """Keep that it was aborted."""
        self.written.append(b"ABORTED")
        self.is_gone = True

    def is_closing(self) -> bool:
        """Return whether it was closed or the peer has left."""
        return self.is_gone

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Nobody calls a protocol."""
