"""Who waits for appends: commands queued together share one wait and one deadline, however many they are."""

import asyncio
from dataclasses import dataclass

from infra.events import AppendOutcome, EventStoreError


class Together:
    """The answers of commands that were queued together, as they come in, until all are there or the deadline passed.

    One future and one timer: `asyncio.timeout` and a future for each would cost more than queueing the commands.
    """

    __slots__ = ("_missing", "_settled", "_timer", "answers")

    def __init__(self, count: int, deadline_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.answers: list[AppendOutcome | EventStoreError | None] = [None] * count
        self._missing = count
        self._settled: asyncio.Future[None] = loop.create_future()
        self._timer = loop.call_later(deadline_s, self._release)

    async def wait(self) -> None:
        """Wait for all answers, at most until the deadline; those that are missing then are None."""
        try:
            await self._settled
        finally:
            self._timer.cancel()

    def tell(self, place: int, answer: AppendOutcome | EventStoreError) -> None:
        """Note the answer of the command at `place`; the first one counts. Who waited may have gone away."""
        if self.answers[place] is None:
            self.answers[place] = answer
            self._missing -= 1
            if not self._missing:
                self._release()

    def _release(self) -> None:
        if not self._settled.done():
            self._settled.set_result(None)


@dataclass(slots=True, eq=False)
class Waiting:
    """The caller's side of one queued command: its place among those queued together, and when nobody waits any more.

    `deadline_s` is on the monotonic clock.
    """

    together: Together
    place: int
    deadline_s: float
    was_sent: bool = False
