"""The ledger of an order: six running totals in minor units, and the invariants that hold after every event."""

from typing import NamedTuple

from domain.money import MAX_AMOUNT_MINOR
from domain.order.event_parts import Totals
from domain.order.status import Completion


class Ledger(NamedTuple):
    """Total `T`, authorized `A`, captured `C`, released `V`, refunded `R`, settled `S`, all in minor units."""

    total_minor: int
    authorized_minor: int = 0
    captured_minor: int = 0
    released_minor: int = 0
    refunded_minor: int = 0
    settled_minor: int = 0

    @property
    def capturable_minor(self) -> int:
        """Return A - C - V."""
        return self.authorized_minor - self.captured_minor - self.released_minor

    @property
    def refundable_minor(self) -> int:
        """Return C - R."""
        return self.captured_minor - self.refunded_minor

    @property
    def unsettled_minor(self) -> int:
        """Return C - S."""
        return self.captured_minor - self.settled_minor

    @property
    def refund_status(self) -> Completion:
        """Return how much of the captured amount was refunded."""
        return _share(self.refunded_minor, self.captured_minor)

    @property
    def settlement_status(self) -> Completion:
        """Return how much of the captured amount was settled."""
        return _share(self.settled_minor, self.captured_minor)

    @property
    def totals(self) -> Totals:
        """Return the ledger as it stands on an event."""
        return Totals(*self)

    def agrees_with(self, totals: Totals) -> bool:
        """Return whether an event's totals are this ledger."""
        return self == tuple(vars(totals).values())

    def plus(
        self, *, authorized: int = 0, captured: int = 0, released: int = 0, refunded: int = 0, settled: int = 0
    ) -> "Ledger":
        """Return the ledger after more minor units were authorized, captured, released, refunded or settled."""
        return Ledger(
            self.total_minor,
            self.authorized_minor + authorized,
            self.captured_minor + captured,
            self.released_minor + released,
            self.refunded_minor + refunded,
            self.settled_minor + settled,
        )

    def broken_invariant(self) -> str | None:
        """Return the first invariant that is broken, as a formula; None when all hold."""
        if not 0 < self.total_minor <= MAX_AMOUNT_MINOR:
            return "0 < T <= 10^15"
        if self.authorized_minor not in {0, self.total_minor}:
            return "A in {0, T}"
        if self.captured_minor < 0 or self.released_minor < 0 or self.capturable_minor < 0:
            return "0 <= C, 0 <= V, C + V <= A"
        if not 0 <= self.refunded_minor <= self.captured_minor:
            return "0 <= R <= C"
        if not 0 <= self.settled_minor <= self.captured_minor:
            return "0 <= S <= C"
        return None


_NONE = Completion.NONE


def _share(part_minor: int, whole_minor: int) -> Completion:
    if part_minor == 0:
        return _NONE
    return Completion.FULL if part_minor == whole_minor else Completion.PARTIAL
