"""The breaker of one endpoint: while it is open nothing is leased for the endpoint, so no attempt is wasted.

It opens after 5 failures in a row, or when half of at least 20 attempts of the last 60 s failed; for 30 s, doubling to
15 min. Then one probe decides. It is kept in memory: another dispatcher, or a restarted one, opens its own after at
most five attempts.
"""

from collections import deque
from typing import Final

FAILURES_IN_A_ROW: Final = 5
WINDOW_S: Final = 60.0
WINDOW_ATTEMPTS: Final = 20
FAILED_SHARE: Final = 0.5
OPEN_S: Final = 30.0
OPEN_MAX_S: Final = 900.0
_REMEMBERED: Final = 1000


class Breaker:
    """Counts one endpoint's attempts; times are seconds of a monotonic clock. `scale` shortens tests and demos."""

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._recent: deque[tuple[float, bool]] = deque(maxlen=_REMEMBERED)
        self._failed_in_recent = 0
        self._in_a_row = 0
        self._open_s = 0.0
        self._open_until: float | None = None

    @property
    def is_closed(self) -> bool:
        """Return whether attempts are unlimited: it neither is open nor waits for its probe."""
        return self._open_until is None

    def permits(self, now_s: float, in_flight: int, room: int) -> int:
        """Return how many of `room` more attempts may start now: all, one probe, or none."""
        if self._open_until is None:
            return room
        if now_s < self._open_until or in_flight > 0:
            return 0
        return min(1, room)

    def probe_due_at(self) -> float | None:
        """Return when the probe is due; None while closed."""
        return self._open_until

    def record(self, now_s: float, *, succeeded: bool) -> None:
        """Count the end of one attempt."""
        if self._open_until is not None:
            # A success of an attempt that started before it opened counts like a probe's.
            if succeeded:
                self._close()
            elif now_s >= self._open_until:
                self._open(now_s)
            return
        self._remember(now_s, failed=not succeeded)
        self._in_a_row = 0 if succeeded else self._in_a_row + 1
        enough = len(self._recent) >= WINDOW_ATTEMPTS
        if self._in_a_row >= FAILURES_IN_A_ROW or (
            enough and not succeeded and self._failed_in_recent >= FAILED_SHARE * len(self._recent)
        ):
            self._open(now_s)

    def _remember(self, now_s: float, *, failed: bool) -> None:
        if len(self._recent) == _REMEMBERED:
            self._forget_oldest()
        self._recent.append((now_s, failed))
        self._failed_in_recent += failed
        while self._recent[0][0] < now_s - WINDOW_S:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, failed = self._recent.popleft()
        self._failed_in_recent -= failed

    def _open(self, now_s: float) -> None:
        self._open_s = min(self._open_s * 2 or OPEN_S, OPEN_MAX_S)
        self._open_until = now_s + self._open_s * self._scale

    def _close(self) -> None:
        self._recent.clear()
        self._failed_in_recent = 0
        self._in_a_row = 0
        self._open_s = 0.0
        self._open_until = None
