"""How fresh the read models are: which position each partition has reached, what a read may promise, who waits.

Positions have no gap, so events can be counted: when the events applied over all partitions are as many as the log has,
everything is applied, exactly. `Freshness` is that arithmetic and the waiting; it does no I/O. `FreshnessWatch` feeds
it: notifications wake it; what counts is what harbor.checkpoints and the head of the log say (decision 0052).
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from infra.http.problems import Problem
from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of
from infra.postgres.failures import ANY_DATABASE_ERROR, NO_CONNECTION_LEFT
from infra.retry_loop import Cause, RetryLoop
from projections.tables import ORDER_TIMELINE_VERSION, ORDERS_VERSION
from query_api.problems import PROJECTION_LAGGING
from query_api.tokens import Token

ORDERS: Final = "orders"
ORDER_TIMELINE: Final = "order_timeline"
WEBHOOK_FANOUT: Final = "webhook_fanout"
VERSIONS: Final = {ORDERS: ORDERS_VERSION, ORDER_TIMELINE: ORDER_TIMELINE_VERSION, WEBHOOK_FANOUT: 1}
"""The versions this service reads; another version of a projection may be building beside them."""

CHANNELS: Final = ("harbor_projected", "harbor_events")
POLL_S: Final = 5.0
POLL_WHEN_BEHIND_S: Final = 1.0
POLL_NOT_LISTENING_S: Final = 0.1
MAX_WAITERS: Final = 256
"""Reads that may wait at once; tokens far in the future must not take every place of the service."""
MAX_WAITERS_OF_ONE: Final = MAX_WAITERS // 4
"""Reads of one partner that may wait at once; the other places are for the others."""
MAX_AHEAD_OF_HEAD: Final = 1_000_000
"""Far more events than the log takes in between two looks at its head: no token can be beyond that."""
_BATCHES: Final = 4096


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one partition of one projection came: last position, and how many events in all."""

    last_position: int = 0
    applied: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """A read of `caller` that waits until its partition reaches `position`."""

    caller: str
    position: int
    reached: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class ProgressSnapshot:
    """One look at the tables: the head of the log, each partition, and some batches of the log with their commit times.

    `batches` holds, for each projection that lacks events, the batch that follows as many events as it has applied.
    """

    head: int
    partitions: dict[tuple[str, int], Progress]
    batches: list[tuple[int, datetime]]


class Freshness:
    """What is known now. `partitions` is the number of partitions of every projection."""

    def __init__(self, partitions: int, now: Callable[[], datetime]) -> None:
        self._partitions = partitions
        self._now = now
        self._head = 0
        self._batches: list[tuple[int, datetime]] = []
        self._progress: dict[tuple[str, int], Progress] = {}
        self._applied: dict[str, int] = dict.fromkeys(VERSIONS, 0)
        self._complete_to: dict[str, int] = dict.fromkeys(VERSIONS, 0)
        self._waiters: defaultdict[tuple[str, int], set[Waiter]] = defaultdict(set)
        self._is_known = False

    def learn_head(self, position: int) -> None:
        """Note that the log has reached `position` now."""
        if position > self._head:
            self._head = position
            if len(self._batches) < _BATCHES:  # the oldest count: they show how long something has waited
                self._batches.append((position, self._now()))
            self._update()

    def learn_partitions(self, moved: Iterable[tuple[str, int, Progress]]) -> None:
        """Note how far partitions `(projection, partition, progress)` have come; one that went back is ignored here."""
        for projection, partition, progress in moved:
            known = self._progress.get((projection, partition), Progress())
            if progress.last_position > known.last_position:
                self._progress[(projection, partition)] = progress
                self._wake(projection, partition, progress.last_position)
        self._update()

    def learn_all(self, snapshot: ProgressSnapshot) -> None:
        """Take over a whole snapshot, even where something went back (a restored database)."""
        self._is_known = True
        self._head = snapshot.head
        self._progress = dict(snapshot.partitions)
        known = dict(self._batches) | dict(snapshot.batches)
        self._batches = sorted((last, at) for last, at in known.items() if last <= snapshot.head)
        for projection in VERSIONS:
            self._complete_to[projection] = min(self._complete_to[projection], snapshot.head)
        for (projection, partition), progress in snapshot.partitions.items():
            self._wake(projection, partition, progress.last_position)
        self._update()

    @property
    def is_behind(self) -> bool:
        """Whether any read model lacks an event that is known of, or nothing is known yet."""
        return not self._is_known or any(applied < self._head for applied in self._applied.values())

    def position(self, projection: str, partition: int | None = None) -> int:
        """Return the position up to which a read sees everything: of one partition, or of all of them with None."""
        complete = self._complete_to[projection]
        if partition is None:
            return complete
        return max(complete, self._progress.get((projection, partition), Progress()).last_position)

    def forget(self) -> None:
        """Note that the head of the log is unknown now. Positions stay true: what is applied stays applied."""
        self._is_known = False

    def lag_ms(self, projection: str) -> int | None:
        """Return how long ago the log held as many events as are applied now; 0: all are applied; None: unknown."""
        if not self._is_known:
            return None
        applied = self._applied[projection]
        if applied >= self._head:
            return 0
        now = self._now()
        passed_at = next((at for last, at in self._batches if last > applied), now)
        return max(0, round((now - passed_at).total_seconds() * 1000))

    async def wait_for(self, caller: str, token: Token, projection: str, timeout_s: float) -> None:
        """Return as soon as the token's partition has reached its position. `caller` may take a share of the places.

        Raises:
            Problem: 503 `projection_lagging`; it has not within `timeout_s`, too many reads wait already (in all or of
                this caller), or the token is too far ahead of the log.
        """
        if self.position(projection, token.partition) >= token.position:
            return
        if not self._may_wait(caller, token):
            raise Problem(PROJECTION_LAGGING)
        waiter = Waiter(caller, token.position, asyncio.get_running_loop().create_future())
        waiting = self._waiters[(projection, token.partition)]
        waiting.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter.reached
        except TimeoutError:
            raise Problem(PROJECTION_LAGGING) from None
        finally:
            waiting.discard(waiter)

    def _may_wait(self, caller: str, token: Token) -> bool:
        if self._is_known and token.position > self._head + MAX_AHEAD_OF_HEAD:
            return False
        callers = [waiter.caller for waiting in self._waiters.values() for waiter in waiting]
        return len(callers) < MAX_WAITERS and callers.count(caller) < MAX_WAITERS_OF_ONE

    def _wake(self, projection: str, partition: int, position: int) -> None:
        for waiter in self._waiters.get((projection, partition), ()):
            if waiter.position <= position and not waiter.reached.done():
                waiter.reached.set_result(None)

    def _update(self) -> None:
        """Work out what each projection is complete to.

        As many events applied as the log has, and none beyond its head, means all of them. Otherwise everything up to
        the partition that is furthest behind is applied for certain.
        """
        self._head = max([self._head, *(each.last_position for each in self._progress.values())])
        for projection in VERSIONS:
            partitions = [
                self._progress.get((projection, partition), Progress()) for partition in range(self._partitions)
            ]
            self._applied[projection] = sum(each.applied for each in partitions)
            if self._applied[projection] >= self._head:
                self._complete_to[projection] = self._head
            else:
                lowest = min(each.last_position for each in partitions)
                self._complete_to[projection] = max(self._complete_to[projection], lowest)
        least = min(self._applied.values())
        passed = next((i for i, (last, _at) in enumerate(self._batches) if last > least), len(self._batches))
        del self._batches[:passed]


class FreshnessWatch:
    """Keeps a `Freshness` up to date until cancelled.

    `read` looks at the tables; `wait` is `Wakeup.wait` on `CHANNELS`; `is_listening` says whether notifications arrive.
    """

    def __init__(
        self,
        freshness: Freshness,
        read: Callable[[], Awaitable[ProgressSnapshot]],
        wait: Callable[[float], Awaitable[list[tuple[str, str]]]],
        is_listening: Callable[[], bool],
        monotonic_s: Callable[[], float],
    ) -> None:
        self._freshness = freshness
        self._read = read
        self._wait = wait
        self._is_listening = is_listening
        self._monotonic_s = monotonic_s
        self._next_poll_s = 0.0
        causes = (
            NO_CONNECTION_LEFT._replace(retry_s=POLL_WHEN_BEHIND_S),
            Cause(ANY_DATABASE_ERROR, "database_unreachable", POLL_WHEN_BEHIND_S),
        )
        self._loop = RetryLoop(causes, self._reachable_or_not, clock=monotonic_s)

    async def run(self) -> None:
        """Follow the notifications, and read the tables often enough that losing some does no harm."""
        while True:
            if self._monotonic_s() >= self._next_poll_s:
                due_s = await self._loop.attempt(self._look)
                self._next_poll_s = self._monotonic_s() + due_s
            notifications = await self._wait(max(0.01, self._next_poll_s - self._monotonic_s()))
            if notifications:
                follow(self._freshness, notifications)
                self._next_poll_s = min(self._next_poll_s, self._monotonic_s() + self._interval_s())
            else:  # the wait ended by itself, or the connection is new and some were lost: a look is due
                self._next_poll_s = 0.0

    async def _look(self) -> float:
        self._freshness.learn_all(await self._read())
        return self._interval_s()

    def _reachable_or_not(self, _reason: NotReadyReason | None, error: Exception | None) -> None:
        if error is not None:
            get_logger().warning("freshness.unknown", reason=reason_of(error))
            self._freshness.forget()

    def _interval_s(self) -> float:
        if not self._is_listening():
            return POLL_NOT_LISTENING_S
        return POLL_WHEN_BEHIND_S if self._freshness.is_behind else POLL_S


def follow(freshness: Freshness, notifications: list[tuple[str, str]]) -> None:
    """Apply notifications; a malformed one says only that something happened."""
    moved: list[tuple[str, int, Progress]] = []
    for channel, payload in notifications:
        with suppress(ValueError):
            if channel == "harbor_events":
                _first, last = payload.split()
                freshness.learn_head(int(last))
            else:
                moved.extend(_moves(payload))
    if moved:
        freshness.learn_partitions(moved)


def _moves(payload: str) -> list[tuple[str, int, Progress]]:
    """Read `<projection> <version> <partition> <last_position> <applied_count>;...`."""
    moves: list[tuple[str, int, Progress]] = []
    for part in payload.split(";"):
        if part.strip():
            projection, version, partition, last_position, applied = part.split()
            if VERSIONS.get(projection) == int(version):
                moves.append((projection, int(partition), Progress(int(last_position), int(applied))))
    return moves
