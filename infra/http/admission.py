"""How many requests a service admits: those at work, those whose body is still arriving, and the bytes they hold.

A request that waits for its client does not count as one at work: otherwise a few hundred bodies sent byte by byte
would keep everybody else out. Decision 0050.
"""

from starlette.types import Message, Receive

from infra.http.guards import Limits
from infra.http.problems import OVERLOADED, Problem


class Admission:
    """Counts the requests of one service and knows when it is full."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._working = 0
        self._arriving = 0
        self._held_bytes = 0

    @property
    def count(self) -> int:
        """How many requests are inside, at work or arriving."""
        return self._working + self._arriving

    @property
    def is_full(self) -> bool:
        """Whether another request must be refused."""
        limits = self._limits
        return self._working >= limits.max_in_flight or self._arriving >= limits.max_arriving

    def enter(self, receive: Receive) -> "Admitted":
        """Let a request in, full or not; it must `leave`."""
        self._working += 1
        return Admitted(self, receive)

    def began_waiting(self) -> None:
        """Note that a request waits for its body."""
        self._working -= 1
        self._arriving += 1

    def stopped_waiting(self) -> None:
        """Note that a request is at work again."""
        self._arriving -= 1
        self._working += 1

    def took(self, size: int) -> None:
        """Count bytes of a body.

        Raises:
            Problem: 503, there is no room for the request now.
        """
        self._held_bytes += size
        if self._working > self._limits.max_in_flight or self._held_bytes > self._limits.max_held_bytes:
            raise Problem(OVERLOADED)

    def left(self, held_bytes: int) -> None:
        """Note that a request is over."""
        self._working -= 1
        self._held_bytes -= held_bytes


class Admitted:
    """One admitted request: receives its body, and gives up what it holds when it leaves."""

    __slots__ = ("_admission", "_held_bytes", "_receive")

    def __init__(self, admission: Admission, receive: Receive) -> None:
        self._admission = admission
        self._receive = receive
        self._held_bytes = 0

    async def receive(self) -> Message:
        """Return the next part of the body.

        Raises:
            Problem: 503, the service became full in the meantime.
        """
        self._admission.began_waiting()
        try:
            message = await self._receive()
        finally:
            self._admission.stopped_waiting()
        size = len(message.get("body", b""))
        self._held_bytes += size
        self._admission.took(size)
        return message

    def leave(self) -> None:
        """Give up the place and the bytes."""
        self._admission.left(self._held_bytes)
