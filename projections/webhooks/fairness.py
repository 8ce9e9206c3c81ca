"""Which endpoints get the free slots: a pure function.

No endpoint holds more than its own bound, nor more than a tenth of all slots while another one waits.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Final, TypeVar

Key = TypeVar("Key", bound=Hashable)

SHARE: Final = 10


def share_slots(waiting: Sequence[Key], held: Mapping[Key, int], *, slots: int, per_endpoint: int) -> dict[Key, int]:
    """Return how many deliveries to lease for each waiting endpoint; endpoints without any are left out.

    Args:
        waiting: endpoints with due deliveries, the longest-waiting first.
        held: how many slots each endpoint holds, waiting or not.
        slots: how many slots there are for all endpoints.
        per_endpoint: how many one endpoint may hold.
    """
    free = slots - sum(held.values())
    alone = len(waiting) <= 1 and not any(count for key, count in held.items() if key not in waiting)
    bound = per_endpoint if alone else min(per_endpoint, max(1, slots // SHARE))
    room = {key: bound - held.get(key, 0) for key in waiting}
    shares: dict[Key, int] = {}
    hungry = [key for key in waiting if room[key] > 0]
    while free > 0 and hungry:
        portion = max(1, free // len(hungry))
        for key in hungry:
            granted = min(portion, room[key], free)
            shares[key] = shares.get(key, 0) + granted
            room[key] -= granted
            free -= granted
        hungry = [key for key in hungry if room[key] > 0]
    return {key: count for key, count in shares.items() if count > 0}
