"""Whether a partition is whole: pure arithmetic over what each record says of itself.

A record carries its `position` and, as `previous`, the position of its partition's event before it. So a partition is
whole if and only if the first record's `previous` is 0 and each further one's is a position that came before; a record
whose position came before is a repeat and says nothing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Records of one partition that nobody has vouched for yet: from `start` on, up to before `end`.

    Of the records before offset `vouched`, it is known that they are whole and end with position `reached`.
    """

    start: int
    end: int
    reached: int = 0
    vouched: int = 0


@dataclass(slots=True)
class Chain:
    """Follows the records of a span in the order of their offsets."""

    span: Span
    reached: int
    is_broken: bool = False

    @classmethod
    def of(cls, span: Span) -> "Chain":
        """Return the chain before the first record of a span."""
        return cls(span, span.reached)

    def add(self, offset: int, position: int, previous: int) -> None:
        """Take the next record; what is no event of ours is left out by the caller."""
        if position <= self.reached:
            return
        # A later event among those vouched for: the partition was cut there and has grown again.
        if previous > self.reached or offset < self.span.vouched:
            self.is_broken = True
        self.reached = position
