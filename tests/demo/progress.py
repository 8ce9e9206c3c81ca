"""Progress: a bar with rate and time left on a terminal, a plain line per tenth elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

SHORTEST_S = 0.2
"""A rate over less time than this would say nothing."""


class Progress:
    """Counts to `total` while the `with` lasts."""

    def __init__(self, name: str, total: int, show: bool) -> None:
        self._name = name
        self._total = total
        self._show = show
        self._done = 0
        self._started = time.monotonic()
        self._bar: Bar | None = None
        if show and sys.stdout.isatty():
            columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, TextColumn("{task.fields[rate]}"))

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=self._total, rate="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int = 1) -> None:
        """Count `count` more."""
        before, self._done = self._done, self._done + count
        elapsed_s = time.monotonic() - self._started
        rate = f"{self._done / elapsed_s:.0f}/s" if elapsed_s > SHORTEST_S else "at once"
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, rate=rate)
        elif self._show and self._done * 10 // self._total > before * 10 // self._total:
            print(f"{self._name}: {self._done}/{self._total} ({100 * self._done // self._total} %, {rate})", flush=True)
