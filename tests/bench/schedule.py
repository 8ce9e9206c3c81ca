"""When the requests of an open loop are due. Pure.

A closed loop waits for an answer before it sends again, so a slow server is asked less and its worst moments hide
(coordinated omission). Here request number i is due at i / rate whatever happened to the others, and its latency
counts from then.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """`rate_per_s` for `warmup_s` + `seconds`; requests due in the warm-up are sent and not measured."""

    rate_per_s: float
    warmup_s: float
    seconds: float

    @property
    def total(self) -> int:
        """How many requests there are, warm-up included."""
        return round(self.rate_per_s * (self.warmup_s + self.seconds))

    def due_s(self, number: int) -> float:
        """Return when request `number` (from 0) is due, in seconds from the start."""
        return number / self.rate_per_s

    def due_by(self, elapsed_s: float) -> int:
        """Return how many requests are due by then."""
        if elapsed_s < 0:
            return 0
        return min(self.total, int(elapsed_s * self.rate_per_s) + 1)

    def is_measured(self, number: int) -> bool:
        """Return whether the request is due after the warm-up."""
        return self.due_s(number) >= self.warmup_s
