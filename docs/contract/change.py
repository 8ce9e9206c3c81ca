"""What a difference is: which way the value travels that it concerns, and whether it breaks clients. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

NO_RULE: Final = "changed, and no rule allows it: write one in docs/contract"


class Direction(Enum):
    """Which way a value travels."""

    SENT = "sent by clients"
    RECEIVED = "received by clients"

    @property
    def flipped(self) -> "Direction":
        """Return the other way: that of an answer to what travels this way, and of what a `not` forbids."""
        return Direction.RECEIVED if self is Direction.SENT else Direction.SENT

    def breaks(self, *, narrowed: bool) -> bool:
        """Return whether it harms: what is sent may only widen, what is received may only narrow."""
        return narrowed is (self is Direction.SENT)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; `place` leads to it (`POST /orders body/lines[]/sku`), `what` says what happened there."""

    is_breaking: bool
    place: str
    what: str

    def __str__(self) -> str:
        """Return the line that names the change, here and in the list of accepted ones."""
        return f"{self.place}: {self.what}"
