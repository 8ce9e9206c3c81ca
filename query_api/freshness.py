"""How fresh the read models are: which position each shard has reached, what a read may promise, who waits for more.

Positions have no gap, so events can be counted: when the events applied over all shards are as many as the log has,
everything is applied, exactly. `Freshness` is that arithmetic and the waiting; it does no I/O. `FreshnessWatch` feeds
it: notifications wake it; what counts is what harbor.checkpoints and the head of the log say. Decision 0052.
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
from infra.postgres.failures import UNREACHABLE
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
TRUTH_EVERY_S: Final = 5.0
TRUTH_WHEN_BEHIND_S: Final = 1.0
TRUTH_WHEN_DEAF_S: Final = 0.1
MAX_WAITERS: Final = 256
"""Reads that may wait at once; tokens far in the future must not take every place of the service."""
MAX_WAITERS_OF_ONE: Final = MAX_WAITERS // 4
"""Reads of one partner that may wait at once; the other places are for the others."""
MAX_UNHEARD: Final = 1_000_000
"""Far more events than the log takes in between two looks at its head: no token can be beyond that."""
_BATCHES: Final = 4096


@dataclass(frozen=True, slots=True)
class Shard:
    """How far one partition of one projection came: last position, and how many events in all."""

    last_position: int = 0
    applied: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """A read of `asker` that waits until its shard reaches `position`."""

    asker: str
    position: int
    reached: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class ProgressSnapshot:
    """One look at the tables: the head of the log, each shard, and some batches of the log with their commit times.

    `batches` holds, for each projection that lacks events, the batch that follows as many events as it has applied.
    """

    head: int
    shards: dict[tuple[str, int], Shard]
    batches: list[tuple[int, datetime]]


class Freshness:
    """What is known now. `partitions` is the number of shards of every projection."""

    def __init__(self, partitions: int, now: Callable[[], datetime]) -> None:
        self._partitions = partitions
        self._now = now
        self._head = 0
        self._batches: list[tuple[int, datetime]] = []
        self._shards: dict[tuple[str, int], Shard] = {}
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

    def learn_shards(self, moved: Iterable[tuple[str, int, Shard]]) -> None:
        """Note how far shards `(projection, partition, shard)` have come; one that went back is ignored here."""
        for projection, partition, shard in moved:
            known = self._shards.get((projection, partition), Shard())
            if shard.last_position > known.last_position:
                self._shards[(projection, partition)] = shard
                self._wake(projection, partition, shard.last_position)
        self._update()

    def learn_all(self, snapshot: ProgressSnapshot) -> None:
        """Take over a whole snapshot, even where something went back (a restored database)."""
        self._is_known = True
        self._head = snapshot.head
        self._shards = dict(snapshot.shards)
        known = dict(self._batches) | dict(snapshot.batches)
        self._batches = sorted((last, at) for last, at in known.items() if last <= snapshot.head)
        for projection in VERSIONS:
            self._complete_to[projection] = min(self._complete_to[projection], snapshot.head)
        for (projection, partition), shard in snapshot.shards.items():
            self._wake(projection, partition, shard.last_position)
        self._update()

    @property
    def is_behind(self) -> bool:
        """Whether any read model lacks an event that is known of, or nothing is known yet."""
        return not self._is_known or any(applied < self._head for applied in self._applied.values())

    def position(self, projection: str, partition: int | None = None) -> int:
        """Return the position up to which a read sees everything: of one shard, or of all of them with None."""
        complete = self._complete_to[projection]
        if partition is None:
            return complete
        return max(complete, self._shards.get((projection, partition), Shard()).last_position)

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

    async def wait_for(self, asker: str, token: Token, projection: str, timeout_s: float) -> None:
        """Return as soon as the token's shard has reached its position. `asker` may take a share of the places.

        Raises:
            Problem: 503 `projection_lagging`; it has not within `timeout_s`, too many reads wait already (in all or of
                this asker), or the token is too far ahead of the log.
        """
        if self.position(projection, token.partition) >= token.position:
            return
        if not self._may_wait(asker, token):
            raise Problem(PROJECTION_LAGGING)
        waiter = Waiter(asker, token.position, asyncio.get_running_loop().create_future())
        waiting = self._waiters[(projection, token.partition)]
        waiting.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter.reached
        except TimeoutError:
            raise Problem(PROJECTION_LAGGING) from None
        finally:
            waiting.discard(waiter)

    def _may_wait(self, asker: str, token: Token) -> bool:
        if self._is_known and token.position > self._head + MAX_UNHEARD:
            return False
        askers = [waiter.asker for waiting in self._waiters.values() for waiter in waiting]
        return len(askers) < MAX_WAITERS and askers.count(asker) < MAX_WAITERS_OF_ONE

    def _wake(self, projection: str, partition: int, position: int) -> None:
        for waiter in self._waiters.get((projection, partition), ()):
            if waiter.position <= position and not waiter.reached.done():
                waiter.reached.set_result(None)

    def _update(self) -> None:
        """Work out what each projection is complete to.

        As many events applied as the log has, and none beyond its head, means all of them. Otherwise everything up to
        the shard that is furthest behind is applied for certain.
        """
        self._head = max([self._head, *(shard.last_position for shard in self._shards.values())])
        for projection in VERSIONS:
            shards = [self._shards.get((projection, partition), Shard()) for partition in range(self._partitions)]
            self._applied[projection] = sum(shard.applied for shard in shards)
            if self._applied[projection] >= self._head:
                self._complete_to[projection] = self._head
            else:
                lowest = min(shard.last_position for shard in shards)
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
        self._next_truth_s = 0.0
        causes = (Cause(UNREACHABLE, "database_unreachable", TRUTH_WHEN_BEHIND_S),)
        self._loop = RetryLoop(causes, self._reachable_or_not, clock=monotonic_s)

    async def run(self) -> None:
        """Follow the notifications, and read the tables often enough that losing some does no harm."""
        while True:
            if self._monotonic_s() >= self._next_truth_s:
                due_s = await self._loop.attempt(self._look)
                self._next_truth_s = self._monotonic_s() + due_s
            notifications = await self._wait(max(0.01, self._next_truth_s - self._monotonic_s()))
            if notifications:
                follow(self._freshness, notifications)
                self._next_truth_s = min(self._next_truth_s, self._monotonic_s() + self._interval_s())
            else:  # the wait ended by itself, or the connection is new and some were lost: a look is due
                self._next_truth_s = 0.0

    async def _look(self) -> float:
        self._freshness.learn_all(await self._read())
        return self._interval_s()

    def _reachable_or_not(self, _reason: NotReadyReason | None, error: Exception | None) -> None:
        if error is not None:
            get_logger().warning("freshness.unknown", error=type(error).__name__)
            self._freshness.forget()

    def _interval_s(self) -> float:
        if not self._is_listening():
            return TRUTH_WHEN_DEAF_S
        return TRUTH_WHEN_BEHIND_S if self._freshness.is_behind else TRUTH_EVERY_S


def follow(freshness: Freshness, notifications: list[tuple[str, str]]) -> None:
    """Apply notifications; a malformed one says only that something happened."""
    moved: list[tuple[str, int, Shard]] = []
    for channel, payload in notifications:
        with suppress(ValueError):
            if channel == "harbor_events":
                _first, last = payload.split()
                freshness.learn_head(int(last))
            else:
                moved.extend(_moves(payload))
    if moved:
        freshness.learn_shards(moved)


def _moves(payload: str) -> list[tuple[str, int, Shard]]:
    """Read `<projection> <version> <partition> <last_position> <applied_count>;...`."""
    moves: list[tuple[str, int, Shard]] = []
    for part in payload.split(";"):
        if part.strip():
            projection, version, partition, last_position, applied = part.split()
            if VERSIONS.get(projection) == int(version):
                moves.append((projection, int(partition), Shard(int(last_position), int(applied))))
    return moves
