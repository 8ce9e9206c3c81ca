"""How far an import is: one line that is written over on a terminal, a line now and then elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TextIO

from infra import clock

_EVERY_S: Final = 5.0
_REDRAW_S: Final = 0.1


@dataclass(slots=True)
class Tally:
    """What was counted so far."""

    created: int = 0
    replayed: int = 0
    refused: int = 0
    file_bytes: int = 0

    @property
    def orders_settled(self) -> int:
        """How many lines are done with."""
        return self.created + self.replayed + self.refused


def progress_line(tally: Tally, total_bytes: int, elapsed_s: float) -> str:
    """Return the line: percent of the file, orders, rate, time left."""
    share = min(tally.file_bytes / total_bytes, 1.0) if total_bytes else 1.0
    rate = tally.orders_settled / elapsed_s if elapsed_s else 0.0
    left = clock_text(elapsed_s / share - elapsed_s) if share else "?"
    refused = f", {tally.refused:,} refused" if tally.refused else ""
    return f"{share:4.0%}  {tally.orders_settled:,} orders, {rate:,.0f}/s{refused}, {left} left"


def clock_text(seconds: float) -> str:
    """Return a duration as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Progress:
    """Shows a tally while it grows."""

    def __init__(self, out: TextIO, total_bytes: int, *, monotonic_s: Callable[[], float] = clock.monotonic_s) -> None:
        self._out = out
        self._total_bytes = total_bytes
        self._monotonic_s = monotonic_s
        self._is_terminal = out.isatty()
        self._started_s = self._shown_s = monotonic_s()

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
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
        """Make room for what is said next."""
        if self._is_terminal:
            self._out.write("\r\x1b[K")
            self._out.flush()
