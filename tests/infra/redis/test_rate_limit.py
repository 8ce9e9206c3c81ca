"""Requests are counted over all processes through Redis, and by each alone when Redis is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio
from pydantic import SecretStr
from structlog.testing import capture_logs

from infra import clock
from infra.redis.gcra import LUA, Rate
from infra.redis.rate_limit import MAX_BUCKETS, RateLimiter, open_rate_limiter
from infra.settings import LimitSettings, RedisSettings
from tests.support.services.ports import free_port

SLOW = Rate(per_s=1, burst=40)
HOUR_US = 3_600_000_000
PATIENCE_S = 30.0


@asynccontextmanager
async def limiter(url: str | None, rate: Rate = SLOW) -> AsyncIterator[RateLimiter]:
    """Open a limiter that waits for Redis however slow the machine is, and whose own clock stands still."""
    settings = RedisSettings(url=SecretStr(url) if url else None, timeout_s=PATIENCE_S)
    limits = LimitSettings(partner_per_s=rate.per_s, partner_burst=rate.burst)
    async with open_rate_limiter(settings, limits, "tests") as opened:
        opened._now_s = lambda: 0.0
        yield opened


async def allowed(limits: RateLimiter, name: str, requests: int) -> int:
    return sum([(await limits.admit(name)).is_allowed for _ in range(requests)])


def refilled(since_s: float, rate: Rate = SLOW) -> int:
    """Return how many requests a bucket in Redis, whose clock cannot be stopped, may have got back since then."""
    return int((clock.monotonic_s() - since_s) * rate.per_s) + 1


async def test_two_processes_share_one_bucket(redis_url: str) -> None:
    began_s = clock.monotonic_s()
    async with limiter(redis_url) as first, limiter(redis_url) as second:
        granted = await allowed(first, "acme.test", 30) + await allowed(second, "acme.test", 30)
    assert 38 <= granted <= 40 + refilled(began_s)  # the burst, give or take a portion held by one of them


async def test_partners_do_not_share_a_bucket(redis_url: str) -> None:
    async with limiter(redis_url) as limits:
        assert await allowed(limits, "greedy.test", 100) < 60
        assert await allowed(limits, "modest.test", 10) == 10


async def test_who_is_refused_learns_when_to_come_back(redis_url: str) -> None:
    async with limiter(redis_url) as limits:
        while (await limits.admit("acme.test")).is_allowed:
            pass
        verdict = await limits.admit("acme.test")
    assert not verdict.is_allowed
    assert 0 < verdict.retry_after_s <= 1.001


async def test_a_dead_redis_is_asked_once_and_refuses_nobody() -> None:
    asked = 0

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.close()

    dead = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = dead.sockets[0].getsockname()[1]
    async with dead, limiter(f"redis://127.0.0.1:{port}/0") as limits:
        assert await allowed(limits, "acme.test", 30) == 30

    assert asked == 1


async def test_a_redis_that_stays_away_is_told_once() -> None:
    now_s = 0.0
    with capture_logs() as logs:
        async with limiter(f"redis://127.0.0.1:{free_port()}/0") as limits:
            limits._now_s = lambda: now_s
            for _ in range(3):
                await allowed(limits, "acme.test", 40)
                now_s += 60.0

    assert [line["event"] for line in logs] == ["redis.unavailable"]


async def test_without_redis_concurrent_requests_are_counted_exactly_once_each() -> None:
    async with limiter(None) as limits:
        verdicts = await asyncio.gather(*(limits.admit("acme.test") for _ in range(200)))
    assert sum(verdict.is_allowed for verdict in verdicts) == 40


async def test_a_request_that_weighs_as_many_is_admitted_whole_or_not_at_all(redis_url: str) -> None:
    for url in (redis_url, None):
        began_s = clock.monotonic_s()
        async with limiter(url, Rate(per_s=1, burst=1000)) as limits:
            first = await limits.admit("acme.test", 700)
            refused = await limits.admit("acme.test", 700)
            single = await limits.admit("acme.test")
            fitting = await limits.admit("acme.test", 290)
        assert [each.is_allowed for each in (first, refused, single, fitting)] == [True, False, True, True]
        assert first.remaining == 300
        assert 0 <= refused.remaining - 300 <= refilled(began_s)
        assert 0 <= 400.001 - refused.retry_after_s <= refilled(began_s), "until the other 400 are there, at 1 a second"
    async with limiter(None) as limits:
        assert (await limits.admit("acme.test")).is_allowed
        assert (await limits.admit("acme.test", SLOW.burst - 1)).is_allowed, "all of the burst"


async def test_those_who_wait_for_a_portion_are_let_in_together(redis_url: str) -> None:
    async with limiter(redis_url) as limits:
        waiting = [asyncio.create_task(limits.admit("acme.test")) for _ in range(2)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for _ in range(2):
            await asyncio.sleep(0)

        assert all(task.done() for task in waiting)


async def test_many_partners_at_once_are_still_counted_over_all_processes(redis_url: str) -> None:
    async with limiter(redis_url) as first, limiter(redis_url) as second:
        for limits in (first, second):
            await asyncio.gather(*(limits.admit(f"partner-{number}") for number in range(64)))
            assert limits._broken_until_s == 0.0
        began_s = clock.monotonic_s()
        granted = await allowed(first, "acme.test", 50) + await allowed(second, "acme.test", 50)

    assert granted <= 40 + refilled(began_s)


async def test_whoever_leaves_while_waiting_takes_nothing_from_the_others(redis_url: str) -> None:
    async with limiter(redis_url) as limits:
        first = asyncio.create_task(limits.admit("acme.test"))
        second = asyncio.create_task(limits.admit("acme.test"))
        await asyncio.sleep(0)
        first.cancel()

        assert (await second).is_allowed


async def test_the_number_of_names_is_bounded() -> None:
    async with limiter(None) as limits:
        for number in range(MAX_BUCKETS + 50):
            await limits.admit(f"partner-{number}")
        assert len(limits._buckets) == MAX_BUCKETS


async def test_redis_computes_the_same_rule(redis_url: str) -> None:
    client = redis.asyncio.Redis.from_url(redis_url)
    script = client.register_script(LUA)
    burst, wants = 5, ((2, 1), (2, 1), (2, 2), (2, 1), (2, 1))
    replies = [await script(keys=["bucket"], args=[HOUR_US, burst, want, least]) for want, least in wants]
    assert [reply[:2] for reply in replies] == [[2, 3], [2, 1], [0, 1], [1, 0], [0, 0]]
    assert 0 < replies[2][2] <= HOUR_US + 1
    assert 0 < replies[4][2] <= HOUR_US + 1
    assert 0 < await client.pttl("bucket") <= burst * HOUR_US // 1000 + 1
    await client.aclose()
