"""Show how far an import is: one line that is rewritten on a terminal, a line every few seconds elsewhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TextIO

_EVERY_S: Final = 5.0
_REDRAW_S: Final = 0.1


@dataclass(slots=True)
class Tally:
    """The counts so far."""

    created: int = 0
    replayed: int = 0
    refused: int = 0
    file_bytes: int = 0

    @property
    def orders_done(self) -> int:
        """Return how many lines are done with."""
        return self.created + self.replayed + self.refused


def progress_line(tally: Tally, total_bytes: int, elapsed_s: float) -> str:
    """Return the line: percent of the file, orders, rate, time left."""
    share = min(tally.file_bytes / total_bytes, 1.0) if total_bytes else 1.0
    rate = tally.orders_done / elapsed_s if elapsed_s else 0.0
    left = clock_text(elapsed_s / share - elapsed_s) if share else "?"
    refused = f", {tally.refused:,} refused" if tally.refused else ""
    return f"{share:4.0%}  {orders_text(tally)}, {rate:,.0f}/s{refused}, {left} left"


def orders_text(tally: Tally) -> str:
    """Return how many orders are done with, in words."""
    return f"{tally.orders_done:,} order{'' if tally.orders_done == 1 else 's'}"


def clock_text(seconds: float) -> str:
    """Return a duration as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Progress:
    """Show a tally while it grows."""

    def __init__(self, out: TextIO, total_bytes: int, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._total_bytes = total_bytes
        self._monotonic_s = monotonic_s
        self._is_terminal = out.isatty()
        self._started_s = self._shown_s = monotonic_s()

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since it began."""
        return self._monotonic_s() - self._started_s

    def show(self, tally: Tally) -> None:
        """Show the tally if it is time to."""
        now_s = self._monotonic_s()
        if now_s - self._shown_s < (_REDRAW_S if self._is_terminal else _EVERY_S):
            return
        self._shown_s = now_s
        line = progress_line(tally, self._total_bytes, now_s - self._started_s)
        self._out.write(f"\r{line}\x1b[K" if self._is_terminal else f"{line}\n")
        self._out.flush()

    def end(self) -> None:
        """Clear the line of a terminal for what is printed next."""
        if self._is_terminal:
            self._out.write("\r\x1b[K")
            self._out.flush()
