"""When the next attempt is due: a pure function of the number of attempts and how the last one ended.

13 attempts over about 72 h. The randomness is an argument, so equal arguments return equal delays. Delays are seconds
and not instants, because only the database's clock decides what is due.
"""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

DELAYS_S: Final = (0, 5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 72000, 86400)
"""Seconds before attempt 1, 2, ... 13, each counted from the end of the attempt before it."""

MAX_ATTEMPTS: Final = len(DELAYS_S)
JITTER: Final = 0.2
RETRY_AFTER_CAP_S: Final = 86_400.0


def retry_delay_s(
    attempts_made: int, *, jitter: float, retry_after_s: float | None = None, scale: float = 1.0
) -> float | None:
    """Return the seconds from the end of the last attempt to the next, or None when the schedule is exhausted.

    Args:
        attempts_made: attempts of this round so far, >= 0.
        jitter: uniform in [-1, 1]; moves the delay by at most 20 %.
        retry_after_s: what the receiver asked for, in seconds; a floor, capped at 24 h.
        scale: factor on the schedule's own delays (`HARBOR_WEBHOOKS__SCHEDULE_SCALE`).
    """
    if attempts_made >= MAX_ATTEMPTS:
        return None
    delay_s = DELAYS_S[attempts_made] * (1 + JITTER * max(-1.0, min(1.0, jitter))) * scale
    return delay_s if retry_after_s is None else max(delay_s, min(retry_after_s, RETRY_AFTER_CAP_S))


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date); None when unreadable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Longer numbers all exceed the cap; converting a megabyte of digits would block the loop.
        return min(float(text[:9]), RETRY_AFTER_CAP_S)
    try:
        asked = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if asked.tzinfo is None:
        return None
    return max(0.0, min((asked - now).total_seconds(), RETRY_AFTER_CAP_S))
