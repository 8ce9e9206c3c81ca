"""Who waits for appends: commands queued together share one wait and one deadline, however many they are."""

import asyncio
from dataclasses import dataclass

from infra.event_store.protocol import AppendOutcome, EventStoreError


class PendingGroup:
    """The answers of commands that were queued together, as they come in.

    `settled` is done with the last one, or when their time is up (`infra.deadlines`): what has no answer then is None.
    """

    __slots__ = ("_missing", "answers", "began_s", "settled")

    began_s: float

    def __init__(self, count: int) -> None:
        self.answers: list[AppendOutcome | EventStoreError | None] = [None] * count
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._missing = count

    def tell(self, place: int, answer: AppendOutcome | EventStoreError) -> None:
        """Note the answer of the command at `place`; the first one counts. Who waited may have gone away."""
        if self.answers[place] is None:
            self.answers[place] = answer
            self._missing -= 1
            if not self._missing:
                self.expire()

    def expire(self) -> None:
        """Let nobody wait any longer."""
        if not self.settled.done():
            self.settled.set_result(None)


@dataclass(slots=True, eq=False)
class PendingAppend:
    """The caller's side of one queued command: its place among those queued together, and when nobody waits any more.

    `deadline_s` is on the monotonic clock.
    """

    group: PendingGroup
    place: int
    deadline_s: float
    was_sent: bool = False
