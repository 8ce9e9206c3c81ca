"""Commands on one order that meet in one process are handled one after the other (decision 0044).

Without locks the append would refuse all but one, and each of the others would read the order and decide again: 200 at
once on one order cost thousands of attempts, and some would give up. A lock costs nothing where nobody waits, and a
batch of appends takes one command of an order anyway. Correctness does not need it: the expected version guards
against writers in other processes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

MAX_WAITING: Final = 256
"""Commands in one queue, at most: half of the requests that a service admits, so that one order never fills it."""


class TooManyWaitingError(Exception):
    """`MAX_WAITING` commands wait on this order already; nothing was done."""


@dataclass(slots=True)
class _Queue:
    """The commands on one order: how many, and a future that is done when the last of them is."""

    last: "asyncio.Future[None]"
    count: int = 0


class OrderLocks:
    """The lock of each order of each tenant; holds a queue for each order that has commands at work."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._queues: dict[tuple[str, UUID], _Queue] = {}

    def __len__(self) -> int:
        return len(self._queues)

    @asynccontextmanager
    async def take(self, tenant_id: str, order_id: UUID) -> AsyncIterator[None]:
        """Hold the lock of an order; first come, first served.

        A command that is cancelled while it waits leaves the queue and does not stop it.

        Raises:
            TooManyWaitingError: too many wait already.
        """
        order, mine = (tenant_id, order_id), asyncio.get_running_loop().create_future()
        queue = self._queues.get(order)
        before = None if queue is None else queue.last
        if queue is None:
            queue = self._queues[order] = _Queue(mine)
        elif queue.count > self._max_waiting:
            raise TooManyWaitingError
        queue.last = mine
        queue.count += 1
        try:
            if before is not None:
                await asyncio.shield(before)
            yield
        finally:
            queue.count -= 1
            if queue.count == 0:
                del self._queues[order]
            if before is None or before.done():
                mine.set_result(None)
            else:
                before.add_done_callback(lambda _done: mine.set_result(None))
