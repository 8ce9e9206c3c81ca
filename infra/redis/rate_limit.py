"""The rate limit of a partner: a bucket per name, shared by all processes through Redis.

A process takes requests from Redis in portions and grants them without I/O, so most requests cost no round trip; it
drops what it does not use within a second. Redis holds only what may be lost: when it misses its deadline, the process
counts by itself for a while.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

import redis.asyncio
from pydantic import SecretStr
from redis.exceptions import RedisError

from infra import clock
from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of
from infra.redis.gcra import LUA, MICROSECONDS, Rate, Taken, take
from infra.settings import LimitSettings, RedisSettings

MAX_BUCKETS: Final = 10_000
PORTION_SHARE: Final = 0.05
KEEP_S: Final = 1.0
BREAK_S: Final = 5.0
_CONNECTIONS: Final = 16


class Verdict(NamedTuple):
    """Whether one request may go on; `remaining` and `retry_after_s` are for its headers."""

    is_allowed: bool
    remaining: int
    retry_after_s: float


@dataclass(slots=True)
class _Bucket:
    balance: int = 0
    remaining: int = 0
    filled_s: float = 0.0
    empty_until_s: float = 0.0
    arrival_us: float = 0.0
    filling: "asyncio.Task[float] | None" = None


class RateLimiter:
    """Counts requests by name. Bounded: beyond 10,000 names, those unused for longest start again."""

    def __init__(
        self,
        rate: Rate,
        client: "redis.asyncio.Redis | None",
        service: str = "",
        now_s: Callable[[], float] = clock.monotonic_s,
    ) -> None:
        self.rate = rate
        self._service = service
        self._script = client.register_script(LUA) if client is not None else None
        self._now_s = now_s
        self._portion = max(int(rate.burst * PORTION_SHARE), 1)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._broken_until_s = 0.0
        self._is_away = False

    async def admit(self, name: str, cost: int = 1) -> Verdict:
        """Count a request of `name` with the weight `cost`, and return whether it may go on.

        It is admitted as a whole or not at all; a refused one costs nothing. `cost` must not exceed the burst, or the
        request is never admitted. Redis never makes this raise.
        """
        bucket = self._bucket(name)
        now_s = self._now_s()
        if now_s - bucket.filled_s > KEEP_S:
            bucket.balance = 0
        while bucket.balance < cost:
            if cost == 1 and now_s < bucket.empty_until_s:
                return Verdict(is_allowed=False, remaining=0, retry_after_s=bucket.empty_until_s - now_s)
            wait_s = await self._portion_of(name, bucket, cost)
            now_s = self._now_s()
            if wait_s and cost > 1 and bucket.balance < cost:
                left = bucket.remaining + bucket.balance
                return Verdict(is_allowed=False, remaining=left, retry_after_s=wait_s)
        bucket.balance -= cost
        return Verdict(is_allowed=True, remaining=bucket.remaining + bucket.balance, retry_after_s=0.0)

    def _bucket(self, name: str) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket()
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
        return bucket

    async def _portion_of(self, name: str, bucket: _Bucket, cost: int) -> float:
        """Wait for the next portion; return the seconds until this cost can be granted, 0 if that is not known.

        One portion is fetched at a time, and it wakes all that wait for it at once. A lock would let them in one by
        one, one per round of the event loop, while newcomers take the portion: under load the last of a hundred waited
        for a second.
        """
        is_ours = bucket.filling is None
        if bucket.filling is None:
            bucket.filling = asyncio.create_task(self._fill(name, bucket, cost - bucket.balance))
        filling = bucket.filling
        try:
            wait_s = await asyncio.shield(filling)  # one that is cancelled does not cancel the others
        finally:
            if filling.done() and bucket.filling is filling:
                bucket.filling = None
        return wait_s if is_ours else 0.0

    async def _fill(self, name: str, bucket: _Bucket, least: int) -> float:
        """Add a portion, or `least` if that is more; return the seconds until there is that much, 0 if there was."""
        want = max(self._portion, least)
        taken = await self._from_redis(name, want, least)
        if taken is None:
            taken = take(bucket.arrival_us, self._now_s() * MICROSECONDS, self.rate, want, least)
            bucket.arrival_us = taken.arrival_us
        now_s, wait_s = self._now_s(), taken.wait_us / MICROSECONDS
        bucket.remaining = taken.remaining
        if taken.granted:
            bucket.balance, bucket.filled_s, bucket.empty_until_s = bucket.balance + taken.granted, now_s, 0.0
        elif least == 1:
            bucket.empty_until_s = now_s + wait_s
        return wait_s

    async def _from_redis(self, name: str, want: int, least: int) -> Taken | None:
        """Take from `least` to `want` from Redis; None when there is no Redis or it did not respond."""
        if self._script is None or self._now_s() < self._broken_until_s:
            return None
        try:
            granted, remaining, wait_us = await self._script(
                keys=[f"harbor:rate:{self._service}:{name}"],
                args=[self.rate.interval_us, self.rate.burst, want, least],
            )
        except (RedisError, OSError, TimeoutError) as error:
            self._broken_until_s = self._now_s() + BREAK_S
            if not self._is_away:
                get_logger().warning("redis.unavailable", reason=reason_of(error), fallback="local", again_in_s=BREAK_S)
            self._is_away = True
            return None
        if self._is_away:
            self._is_away = False
            get_logger().info("redis.available")
        return Taken(granted, remaining, wait_us, 0.0)


@asynccontextmanager
async def open_rate_limiter(
    redis_settings: RedisSettings, limits: LimitSettings, service: str
) -> AsyncIterator[RateLimiter]:
    """Return the limiter of one process of a service; without a Redis address it counts by itself."""
    client = None if redis_settings.url is None else _client(redis_settings.url, redis_settings.timeout_s)
    try:
        yield RateLimiter(Rate(limits.partner_per_s, limits.partner_burst), client, service)
    finally:
        if client is not None:
            await client.aclose()


def _client(url: SecretStr, timeout_s: float) -> redis.asyncio.Redis:
    # A pool that waits: an error because all connections are busy would look like an unreachable Redis.
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url.get_secret_value(),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=None,
        max_connections=_CONNECTIONS,
        timeout=timeout_s,
    )
    return redis.asyncio.Redis.from_pool(pool)
