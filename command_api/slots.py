"""How many batches this process works on at once: each takes the CPU and memory of hundreds of orders."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from infra.http.problems import OVERLOADED, Problem

WAITING_PER_SLOT: Final = 4


class BatchSlots:
    """Admit `at_once` batches; four times as many wait for at most `wait_s` seconds, first come, first served."""

    def __init__(self, at_once: int, wait_s: float) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._max_waiting = WAITING_PER_SLOT * at_once
        self._wait_s = wait_s
        self._waiting = 0

    def require_room(self) -> None:
        """Refuse while too many wait; cheap enough to ask before a body is read.

        Raises:
            Problem: 503, too many batches wait.
        """
        if self._waiting >= self._max_waiting:
            raise Problem(OVERLOADED)

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Hold a slot during the `async with`.

        Raises:
            Problem: 503, too many batches wait, or no slot became free in time.
        """
        self.require_room()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise Problem(OVERLOADED) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
