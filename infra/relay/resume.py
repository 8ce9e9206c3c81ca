"""Where a run of the relay starts: pure arithmetic over the topic's ends and what was known about them before.

Every record names the event before it in its partition, so a partition can be shown to be whole (`infra.kafka.chain`).
The marks vouch for what was there when they were written, and need not be looked at again as long as nothing was cut
off at either end: the first record then still begins the partition, and only the records after the marks are followed.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from infra.kafka.chain import Span
from infra.kafka.tail import PartitionEnds

EMPTY: Final = 0
"""Position of a partition that holds no event; positions start at 1."""
NONE: Final[frozenset[int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Marks:
    """What a run knew: every event up to `low_water` was in its partition.

    `acked` is each partition's last acknowledged position then, `ends` the offset after it.
    """

    low_water: int
    acked: tuple[int, ...]
    ends: tuple[int, ...]

    def doubted(self) -> "Marks":
        """Return marks that vouch for no record: all of them are followed before the rest is believed."""
        return replace(self, ends=(0,) * len(self.ends))


@dataclass(frozen=True, slots=True)
class Plan:
    """Read the log after `start`; leave out an event of a partition up to `held[partition]`: the topic has it.

    The records of the partitions in `purge` are to be deleted first: an event before or among them is missing, and
    Kafka can only append. Those in `cut` have lost their end, which is sent again. The topic is whole again when all
    events up to `whole_at` are sent.
    """

    start: int
    held: tuple[int, ...]
    purge: frozenset[int] = NONE
    cut: frozenset[int] = NONE
    whole_at: int = EMPTY


def spans_to_follow(ends: Mapping[int, PartitionEnds], marks: Marks | None) -> dict[int, Span]:
    """Return, by partition, the records of which the marks do not say that they are whole.

    A partition that has lost its beginning is left out: it is broken anyway.
    """
    usable = _usable(marks, ends)
    spans: dict[int, Span] = {}
    for partition, found in ends.items():
        if found.begin == found.end or found.before != EMPTY:
            continue
        end, acked = (usable.ends[partition], usable.acked[partition]) if usable else (0, EMPTY)
        if not found.begin < end <= found.end or (end == found.end and found.tail != acked):
            spans[partition] = Span(found.begin, found.end)
        elif end < found.end:
            # With the record before: it must still be the one the marks name.
            spans[partition] = Span(end - 1, found.end, reached=acked, vouched=end)
    return spans


def plan_run(ends: Mapping[int, PartitionEnds], marks: Marks | None, broken: AbstractSet[int] = NONE) -> Plan:
    """Decide where to resume; `ends` has every partition of the topic, 0 to n - 1, `broken` those with a hole.

    A partition's own tail is the truth. The marks help only where the tail confirms them, that is where it is at or
    past the position they name: then nothing up to the low-water mark can be missing, and history need not be read
    again for an idle partition. A truncated or recreated partition is behind its mark and is filled from its own tail,
    or from the beginning.

    The tail is misleading when events before it are missing: deleted from the beginning, or lost with the partition's
    end while a batch was under way, which then landed behind the hole. Such a partition is purged and filled again;
    consumers drop by position what they know.
    """
    usable = _usable(marks, ends)
    purge = frozenset(each for each in ends if each in broken or ends[each].before != EMPTY)
    held: list[int] = []
    cut: set[int] = set()
    for partition in range(len(ends)):
        tail = EMPTY if partition in purge else ends[partition].tail
        if usable is not None and tail >= usable.acked[partition]:
            tail = max(tail, usable.low_water)
        # A tail that is behind in a partition that has not become shorter is a repeat by another relay.
        elif partition not in purge and usable and (tail == EMPTY or ends[partition].end < usable.ends[partition]):
            cut.add(partition)
        held.append(tail)
    seen = [each.tail for each in ends.values()]
    lost = bool(purge or cut)
    whole_at = max([*seen, usable.low_water if usable is not None and lost else EMPTY], default=EMPTY)
    return Plan(min(held, default=EMPTY), tuple(held), purge, frozenset(cut), whole_at)


def _usable(marks: Marks | None, ends: Mapping[int, PartitionEnds]) -> Marks | None:
    return marks if marks is not None and len(marks.acked) == len(marks.ends) == len(ends) else None
