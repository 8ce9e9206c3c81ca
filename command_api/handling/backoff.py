"""How often a command is decided again after another process appended first, and how long it waits before that.

The first time it does not wait: the other append is usually done. Then it waits longer and longer, at random, so that
processes which work on one order get out of step, and the one that keeps winning (it knows the newest version, the
others have to read it) finishes its queue in the meantime.
"""

import asyncio
import random
from typing import Final

MAX_DECISIONS: Final = 32
"""The first decision and its repetitions: up to about a second of waiting, half of that on average."""

_LONGEST_MS: Final = 32
_MS_PER_S: Final = 1000


async def back_off(lost: int) -> None:
    """Wait after the `lost`-th lost race of a command, counted from 1."""
    longest_ms = min(1 << lost, _LONGEST_MS) if lost > 1 else 0
    await asyncio.sleep(random.uniform(0, longest_ms) / _MS_PER_S)  # noqa: S311  # to spread, not to hide
