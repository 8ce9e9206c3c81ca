"""How many requests a service admits: those at work, those whose body is still arriving, and the bytes they hold.

A request that waits for its client does not count as one at work: otherwise a few hundred bodies sent byte by byte
would keep everybody else out (decision 0050).
"""

from starlette.types import Message, Receive

from infra.http.guards import Limits
from infra.http.problems import OVERLOADED, Problem


class Admission:
    """Counts the requests of one service and knows when it is full."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.working = 0
        self.arriving = 0
        self.held_bytes = 0

    @property
    def count(self) -> int:
        """Return how many requests are inside, at work or arriving."""
        return self.working + self.arriving

    @property
    def is_full(self) -> bool:
        """Return whether another request must be refused."""
        return self.working >= self.limits.max_in_flight or self.arriving >= self.limits.max_arriving


class Admitted:
    """One admitted request: receives its body, and gives up its place and its bytes when it leaves."""

    __slots__ = ("_admission", "_held_bytes", "_receive")

    def __init__(self, admission: Admission, receive: Receive) -> None:
        self._admission = admission
        self._receive = receive
        self._held_bytes = 0
        admission.working += 1

    async def receive(self) -> Message:
        """Return the next part of the body.

        Raises:
            Problem: 503, the service became full in the meantime.
        """
        admission = self._admission
        admission.working -= 1
        admission.arriving += 1
        try:
            message = await self._receive()
        finally:
            admission.arriving -= 1
            admission.working += 1
        size = len(message.get("body", b""))
        self._held_bytes += size
        admission.held_bytes += size
        limits = admission.limits
        if admission.working > limits.max_in_flight or admission.held_bytes > limits.max_held_bytes:
            raise Problem(OVERLOADED)
        return message

    def leave(self) -> None:
        """Give up the place and the bytes."""
        self._admission.working -= 1
        self._admission.held_bytes -= self._held_bytes
