"""What a run says while it goes: one line per measurement, with how far it is and how long it still takes."""

import time

from rich.console import Console

_SLOWEST = 1.5


class Steps:
    """Counts measurements; the time left comes from the planned seconds of each and how true they were so far."""

    def __init__(self, console: Console, planned_s: float) -> None:
        self._console = console
        self._planned_s = planned_s
        self._done_s = 0.0
        self._started_s = time.monotonic()

    def say(self, text: str) -> None:
        """Print something that is not a measurement."""
        self._console.print(f"[dim]{text}[/]", highlight=False)

    def done(self, text: str, planned_s: float) -> None:
        """Print a measurement that was planned to take so many seconds."""
        self._done_s = min(self._done_s + planned_s, self._planned_s)
        took_s = time.monotonic() - self._started_s
        slowness = min(took_s / self._done_s, _SLOWEST)  # the first ones also wait for their servers to start
        left_s = int((self._planned_s - self._done_s) * slowness)
        left = f"{left_s // 60}:{left_s % 60:02}"
        self._console.print(f"[dim]{self._done_s / self._planned_s:4.0%} {left:>6} left[/]  {text}", highlight=False)
