"""h11 without its tolerance: what a proxy in front may read otherwise than we do is refused, as httptools refuses it.

h11 takes a bare LF for the end of a line, joins folded lines, and makes one length of several equal ones; all of that
is gone when it gives a head. `StrictConnection` looks at the bytes of heads and trailers before that. RFC 9112, 2.2,
5.2 and 6.3, leave a server the choice to refuse; so does decision 0050.
"""

import re
from collections.abc import Sequence
from typing import Final

import h11
from h11._receivebuffer import ReceiveBuffer

_END: Final = b"\r\n\r\n"
_LOOSE: Final = re.compile(rb"(?<!\r)\n|\n[ \t]")
_LENGTH: Final = b"content-length:"


class StrictBuffer(ReceiveBuffer):
    """The bytes that h11 has not yet read; heads and trailers leave it only if every line is strict."""

    def __init__(self) -> None:
        super().__init__()
        self._checked_bytes = 0

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Return the lines of a head or of trailers, None while the end is missing. Each byte is looked at once.

        Raises:
            h11.RemoteProtocolError: a bare LF, a folded line, or more than one length.
        """
        if not self._data.startswith(b"\r\n"):
            self._require_strict_lines()
        lines = super().maybe_extract_lines()
        if lines is not None:
            self._checked_bytes = 0
            _require_one_length(lines)
        return lines

    def _require_strict_lines(self) -> None:
        seen = self._checked_bytes
        end = self._data.find(_END, max(0, seen - len(_END) + 1))
        # What follows the end is a body or the next request: not looked at here.
        until = len(self._data) if end == -1 else end + len(_END)
        if _LOOSE.search(self._data, max(0, seen - 1), until):
            raise h11.RemoteProtocolError("a bare LF or a folded line")
        self._checked_bytes = until


class StrictConnection(h11.Connection):
    """The server's end of an h11 connection that reads strictly."""

    def __init__(self, max_incomplete_event_size: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size)
        # h11 has no public place to see raw heads; the tests on sockets notice when this one moves.
        self._receive_buffer = StrictBuffer()


def _require_one_length(lines: Sequence[bytearray]) -> None:
    lengths = [line for line in lines if line[: len(_LENGTH)].lower() == _LENGTH]
    if len(lengths) > 1 or any(b"," in line for line in lengths):
        raise h11.RemoteProtocolError("more than one length")
