"""Turns: commands on one order that meet in one process are handled one after the other.

The append would settle them too, by refusing all but one, and each of the others would read the order again and decide
again: 200 at once on one order cost thousands of attempts, and some would give up. Taking turns costs nothing where
nobody waits, and a batch takes one command of an order anyway. Writers in other processes are still met by the expected
version; a turn is a courtesy, never a lock that correctness needs.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

MAX_WAITING: Final = 256
"""Commands in one line, at most: half of the requests a service takes on, so that one order never fills it."""


class TooManyWaitingError(Exception):
    """`MAX_WAITING` commands wait on this order already; nothing was done."""


@dataclass(slots=True)
class _Waiters:
    """The commands under way on one order: when the last of them is over, and how many they are."""

    last: "asyncio.Future[None]"
    count: int = 0


class OrderLocks:
    """Who is next on each order of each tenant; holds a line for each order that has commands under way."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._lines: dict[tuple[str, UUID], _Waiters] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @asynccontextmanager
    async def take(self, tenant_id: str, order_id: UUID) -> AsyncIterator[None]:
        """Wait for all who came before on this order, hold the turn, hand it on; first come, first served.

        Whoever is cancelled while waiting leaves the line without stopping it.

        Raises:
            TooManyWaitingError: too many wait already.
        """
        order, mine = (tenant_id, order_id), asyncio.get_running_loop().create_future()
        line = self._lines.get(order)
        before = None if line is None else line.last
        if line is None:
            line = self._lines[order] = _Waiters(mine)
        elif line.count > self._max_waiting:
            raise TooManyWaitingError
        line.last = mine
        line.count += 1
        try:
            if before is not None:
                await asyncio.shield(before)
            yield
        finally:
            line.count -= 1
            if line.count == 0:
                del self._lines[order]
            if before is None or before.done():
                mine.set_result(None)
            else:
                before.add_done_callback(lambda _done: mine.set_result(None))
