"""Promises in seconds on a machine that may stall: only the time in which it ran is counted."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from infra import clock
from tests.support.waiting import POLL_S

LONGEST_LOOK_S: Final = 0.25
"""One look takes some milliseconds; of a longer one the rest is put down to the machine."""


async def running_s_until(predicate: Callable[[], Awaitable[bool]], limit_s: float) -> float:
    """Wait until the predicate is true; give the seconds that the machine ran meanwhile.

    Raises:
        AssertionError: it was not within `limit_s` of them.
    """
    ran_s, looked_s = 0.0, clock.monotonic_s()
    while not await predicate():
        await asyncio.sleep(POLL_S)
        now_s = clock.monotonic_s()
        ran_s, looked_s = ran_s + min(now_s - looked_s, LONGEST_LOOK_S), now_s
        if ran_s >= limit_s:
            raise AssertionError(f"still not true after {limit_s} s in which the machine ran")
    return ran_s
