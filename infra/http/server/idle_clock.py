"""The wait of an idle connection without a timer of its own.

uvicorn sets a timer of the event loop after every answer and cancels it at the next request: some 3 us a request for
what happens once in a connection's life. All connections wait equally long, so they wait in one line (`Deadlines`).
"""

import asyncio
from collections.abc import Callable
from typing import Any

from infra.deadlines import Alarm, Deadlines


class IdleClock:
    """What uvicorn's protocols use of an event loop; a timer of `idle.seconds` is one of the line."""

    __slots__ = ("_idle", "_loop", "call_soon", "create_task")

    def __init__(self, loop: asyncio.AbstractEventLoop, idle: Deadlines) -> None:
        self._loop = loop
        self._idle = idle
        self.create_task = loop.create_task
        self.call_soon = loop.call_soon

    def call_later(self, delay_s: float, then: Callable[..., None], *args: Any) -> asyncio.TimerHandle | Alarm:
        """Call `then` after `delay_s` seconds, unless what this gives is cancelled before."""
        if delay_s == self._idle.seconds and not args:
            return self._idle.call(then)
        return self._loop.call_later(delay_s, then, *args)
