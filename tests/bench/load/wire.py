"""As much of HTTP/1.1 as a load generator needs: when a response is complete, its status and its Location. Pure.

One response at a time per connection, with a Content-Length; everything else is refused rather than miscounted.
"""

import re

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nlocation: *([^\r\n]+)", re.IGNORECASE)


class NotUnderstoodError(Exception):
    """The server sent something this client does not read."""


class Response:
    """One response as its bytes arrive: feed it until it is complete, then start it again for the next one."""

    __slots__ = ("_missing", "head", "status")

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Expect a new response."""
        self.head = b""
        self.status = 0
        self._missing = -1

    def feed(self, data: bytes) -> bool:
        """Take bytes; return whether the response is complete.

        Raises:
            NotUnderstoodError: no Content-Length, or more bytes than that.
        """
        if self._missing < 0:
            data = self.head + data if self.head else data
            end = data.find(_HEAD_END)
            if end < 0:
                self.head = data
                return False
            self.head = data[: end + 2]
            self.status = int(self.head[9:12])
            length = _LENGTH.search(self.head)
            if length is None:
                raise NotUnderstoodError("a response without a Content-Length")
            self._missing = int(length[1]) + end + 4
        self._missing -= len(data)
        if self._missing < 0:
            raise NotUnderstoodError("more bytes than the Content-Length says")
        return self._missing == 0

    @property
    def location(self) -> str:
        """The Location header; empty when there is none."""
        found = _LOCATION.search(self.head)
        return found[1].decode("ascii") if found else ""
