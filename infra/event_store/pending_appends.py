"""Who waits for appends: commands queued together share one wait and one deadline, however many they are."""

import asyncio
from dataclasses import dataclass

from infra.event_store.protocol import AppendOutcome, EventStoreError


class PendingGroup:
    """The results of commands that were queued together.

    `done` completes with the last result or at the deadline (`infra.deadlines`). What has no result then is None.
    """

    __slots__ = ("_missing", "began_s", "done", "results")

    began_s: float

    def __init__(self, count: int) -> None:
        self.results: list[AppendOutcome | EventStoreError | None] = [None] * count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._missing = count

    def set_result(self, index: int, result: AppendOutcome | EventStoreError) -> None:
        """Store the result of one command; only the first one counts. The caller may be gone already."""
        if self.results[index] is None:
            self.results[index] = result
            self._missing -= 1
            if not self._missing:
                self.expire()

    def expire(self) -> None:
        """End the wait."""
        if not self.done.done():
            self.done.set_result(None)


@dataclass(slots=True, eq=False)
class PendingAppend:
    """The caller's side of one queued command: its group, its index there, and its deadline on the monotonic clock."""

    group: PendingGroup
    index: int
    deadline_s: float
    was_sent: bool = False

    def set_result(self, result: AppendOutcome | EventStoreError) -> None:
        """Store the result of this command."""
        self.group.set_result(self.index, result)
