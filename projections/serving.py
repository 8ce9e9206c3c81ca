"""Runs a process of this package: logs, then its main until SIGTERM."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from infra import runtime
from infra.observability.logs import configure
from infra.settings import LogSettings, SettingsError, load


def serve(process: str, main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `main` until it is told to stop; a bad setting ends the process with one line."""
    try:
        configure(process, load(LogSettings).level)
    except SettingsError as error:
        sys.exit(str(error))
    runtime.run(main)
