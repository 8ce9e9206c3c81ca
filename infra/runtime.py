"""Run a process' async main: uvloop, SIGTERM and SIGINT ask it to stop, a deadline ends what does not.

```python
async def main(stop: asyncio.Event) -> None:
    while not stop.is_set():
        ...

runtime.run(main)
```
"""

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn

import uvloop

from infra.observability.logs import configure, get_logger
from infra.settings import EXIT_STATUS, LogSettings, SettingsError, load
from infra.settings_names import mistyped

Main = Callable[[asyncio.Event], Awaitable[None]]
DRAIN_S = 15.0


def run(main: Main, *, drain_s: float = DRAIN_S) -> None:
    """Run `main(stop)` until it returns.

    Args:
        main: returns soon after `stop` is set, with its work drained.
        drain_s: seconds from the first signal until `main` is cancelled. A second SIGINT (Ctrl-C at a terminal) cancels
            it at once; SIGTERM may come any number of times, as it does when a supervisor of several threads dies. What
            is cut off is safe: every step of the system may be repeated.

    Raises:
        SystemExit: 2 after a settings error (its line goes to standard error).
        Exception: what `main` raised, after one log line.
    """
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(supervise(main, drain_s=drain_s))
    except SettingsError as error:
        refuse(str(error))


def refuse(why: str) -> NoReturn:
    """End the process because of its settings: one line on standard error, and a status that says so."""
    sys.stderr.write(f"{why}\n")
    raise SystemExit(EXIT_STATUS) from None


def begin(name: str) -> None:
    """Send the logs of the process `name` to standard output; log each variable that is mistyped.

    Raises:
        SettingsError: the log level is none.
    """
    configure(name, load(LogSettings).level)
    for line in mistyped(os.environ):
        get_logger().warning("settings.mistyped", problem=line)


def run_process(name: str, main: Main) -> None:
    """Send the logs of the process `name` to standard output, then `run` it.

    Raises:
        SystemExit: 2 after one line, a setting is missing or wrong.
    """
    try:
        begin(name)
    except SettingsError as error:
        refuse(str(error))
    run(main)


async def supervise(main: Main, *, drain_s: float) -> None:
    """Run `main` in this loop with signal handlers set; `run` without the loop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    task = asyncio.ensure_future(main(stop))
    interrupts = itertools.count(1)

    def on_signal(name: str) -> None:
        is_repeated = name == signal.SIGINT.name and next(interrupts) > 1
        if is_repeated:
            _cut_off(task, "second SIGINT")
        if not stop.is_set():
            get_logger().info("process.stopping", signal=name)
            stop.set()
            loop.call_later(drain_s, _cut_off, task, f"not drained within {drain_s:g} s")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number.name)
    try:
        await task
    except asyncio.CancelledError:
        if not stop.is_set():  # cancelled from outside: not ours to swallow
            raise
    except Exception as error:
        if not isinstance(error, SettingsError):  # that one is for the terminal, not for the log
            get_logger().exception("process.failed")
        raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _cut_off(task: asyncio.Future[None], reason: str) -> None:
    if not task.done():
        get_logger().warning("process.cut_off", reason=reason)
        task.cancel()
