"""How often a command is decided again after another process appended first, and how long it waits before that.

The first time at once: whoever appended is usually done. Then later and later by chance, so that processes which work
on one order at the same moment get out of step, and the one that keeps winning (it knows the newest version, the others
have to read it) comes to the end of its line meanwhile.
"""

import asyncio
import random
from typing import Final

MAX_DECISIONS: Final = 32
"""The first decision and what follows: up to about a second of pauses, half of that on average."""

_LONGEST_MS: Final = 32
_MS_PER_S: Final = 1000


async def back_off(lost: int) -> None:
    """Wait after the `lost`-th lost race of a command, counted from 1."""
    longest_ms = min(1 << lost, _LONGEST_MS) if lost > 1 else 0
    await asyncio.sleep(random.uniform(0, longest_ms) / _MS_PER_S)  # noqa: S311  # to spread, not to hide
