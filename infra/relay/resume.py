"""Where a run of the relay starts: pure arithmetic over the topic's ends and what was known about them before."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from infra.kafka.tail import PartitionEnds

EMPTY: Final = 0
"""Position of a partition that holds no event; positions start at 1."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What a run knew: every event up to `low_water` was in its partition.

    `acked` is each partition's last acknowledged position then, `ends` the offset after it.
    """

    low_water: int
    acked: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Read the log after `start`; leave out an event of a partition up to `held[partition]`: the topic has it.

    The records of the partitions in `purge` are to be deleted first: they start behind a hole.
    """

    start: int
    held: tuple[int, ...]
    purge: frozenset[int]


def plan_run(ends: Mapping[int, PartitionEnds], marks: Marks | None, rewound: AbstractSet[int] = frozenset()) -> Plan:
    """Decide where to resume; `ends` has every partition of the topic, 0 to n - 1.

    A partition's own tail is the truth. The marks help only where the tail confirms them, that is where it is at or
    past the position they name: then nothing up to the low-water mark can be missing, and history need not be read
    again for an idle partition. A truncated or recreated partition is behind its mark and is filled from its own tail,
    or from the beginning.

    The tail is misleading in one case: the topic was deleted and made again *while* a run was sending, and a batch
    under way landed in the new one as its first record. Then the partition is shorter than it was and yet ends past
    what was acknowledged (or the run itself saw offsets go back, `rewound`). Its few records are purged and it is
    filled again.
    """
    usable = marks if marks is not None and len(marks.acked) == len(marks.ends) == len(ends) else None
    held: list[int] = []
    purge: set[int] = set()
    for partition in range(len(ends)):
        tail, end = ends[partition].tail, ends[partition].end
        if usable is not None and end < usable.ends[partition] and tail > usable.acked[partition]:
            purge.add(partition)
        if partition in rewound:
            purge.add(partition)
        if partition in purge:
            tail = EMPTY
        if usable is not None and tail >= usable.acked[partition]:
            tail = max(tail, usable.low_water)
        held.append(tail)
    return Plan(start=min(held), held=tuple(held), purge=frozenset(purge))
