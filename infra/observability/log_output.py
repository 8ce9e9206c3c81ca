"""Where log lines go: an output that may be closed, full or not read, none of which may hold up the work."""

import asyncio
import atexit
import os
import select
import stat
import threading
from collections.abc import Callable
from typing import Final

MAX_WAITING_BYTES: Final = 1024 * 1024
"""Lines that wait for a reader; further ones are counted and lost."""

RETRY_S: Final = 0.2
LAST_WORDS_S: Final = 2.0
"""Time for what still waits when the process ends."""

_FILE_CHUNK_BYTES: Final = 256 * 1024


class LossyOutput:
    """Writes lines to a file descriptor: lines may be lost, but they never hold up the work.

    Lines of one pass of an event loop leave together at its end: one system call for all requests of the
    pass, instead of one each. Without a running loop each line leaves at once. A pipe is asked first whether it takes
    more, and gets no more than `PIPE_BUF` bytes at once, so a reader that stalls blocks nobody. (Two processes that
    share one pipe may ask at the same moment; give each its own.)

    Args:
        descriptor: open for writing, for as long as this lives.
        lost_line: returns the line that says how many were lost, written once there is room again.
    """

    def __init__(self, descriptor: int, lost_line: Callable[[int], bytes]) -> None:
        self._descriptor = descriptor
        self._lost_line = lost_line
        self._chunk_bytes = _FILE_CHUNK_BYTES if stat.S_ISREG(os.fstat(descriptor).st_mode) else select.PIPE_BUF
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self._writing = threading.Lock()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._lost = 0
        self._is_torn = False
        self._flushed_by: asyncio.AbstractEventLoop | None = None
        atexit.register(self._end)

    def msg(self, line: bytes) -> None:
        """Write a line, without its end, if that is possible."""
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._lost += 1  # and what waits is tried again below: nothing else may do it
        else:
            self._waiting.append(line + b"\n")
            self._waiting_bytes += len(line) + 1
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._flush()
            return
        if self._flushed_by is not loop:
            self._flushed_by = loop
            loop.call_soon(self._flush_pass, loop)

    log = debug = info = warn = warning = error = critical = exception = fatal = failure = err = msg

    def _flush_pass(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._flush():
            self._flushed_by = None
        else:
            loop.call_later(RETRY_S, self._flush_pass, loop)

    def _flush(self, patience_s: float = 0.0) -> bool:
        """Write what waits, as far as the output takes it; return whether nothing is left.

        What an output refuses (a full disk, a reader that is gone) is counted as lost, and a line that was cut is ended
        before the next one.
        """
        with self._writing:
            lines, self._waiting = self._waiting, []
            announced = self._lost if self._room.poll(0) else 0
            if announced:
                lines.append(self._lost_line(announced) + b"\n")
                self._lost -= announced
            text = b"\n" * self._is_torn + b"".join(lines)
            left = memoryview(text)
            try:
                while left and self._room.poll(patience_s * 1000):
                    left = left[os.write(self._descriptor, left[: self._chunk_bytes]) :]
            except OSError:
                written = len(text) - len(left)
                lost = bytes(left).count(b"\n") - (self._is_torn and not written)
                self._lost += lost + announced - (announced > 0)
                self._is_torn = self._is_torn if not written else not text[:written].endswith(b"\n")
                left = left[:0]
            else:
                self._is_torn = False
            if left:
                self._waiting.insert(0, bytes(left))
            self._waiting_bytes = len(left)
            return not left

    def _end(self) -> None:
        self._flush(LAST_WORDS_S)
