"""Progress: a bar with rate and time left on a terminal, a plain line per tenth elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SHORTEST_S = 0.2
"""A rate over less time than this would mean nothing."""


@contextmanager
def progress(name: str, total: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    """Return what counts up to `total` while the context is open."""
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    is_bar = show and sys.stdout.isatty()
    started_s = time.monotonic()
    done = 0
    with Progress(*columns, TextColumn("{task.fields[rate]}"), disable=not is_bar) as bar:
        task = bar.add_task(name, total=total, rate="")

        def advance(count: int) -> None:
            nonlocal done
            before, done = done, done + count
            elapsed_s = time.monotonic() - started_s
            rate = f"{done / elapsed_s:.0f}/s" if elapsed_s > SHORTEST_S else "at once"
            bar.update(task, completed=done, rate=rate)
            if show and not is_bar and done * 10 // total > before * 10 // total:
                print(f"{name}: {done}/{total} ({100 * done // total} %, {rate})", flush=True)

        yield advance
