"""Requests are counted over all processes through Redis, and by each alone when Redis is gone."""

import asyncio
from contextlib import AbstractAsyncContextManager

import redis.asyncio
from pydantic import SecretStr

from infra.redis.gcra import LUA, Rate
from infra.redis.rate_limit import MAX_BUCKETS, RateLimiter, open_rate_limiter
from infra.settings import LimitSettings, RedisSettings

SLOW = Rate(per_s=1, burst=40)
NOWHERE = "redis://127.0.0.1:1/0"


def limiter(url: str | None, rate: Rate = SLOW) -> AbstractAsyncContextManager[RateLimiter]:
    settings = RedisSettings(url=SecretStr(url) if url else None)
    return open_rate_limiter(settings, LimitSettings(partner_per_s=rate.per_s, partner_burst=rate.burst), "tests")


async def allowed(limits: RateLimiter, name: str, requests: int) -> int:
    return sum([(await limits.admit(name)).is_allowed for _ in range(requests)])


async def test_two_processes_share_one_bucket(redis_url: str) -> None:
    async with limiter(redis_url) as first, limiter(redis_url) as second:
        granted = await allowed(first, "acme.test", 30) + await allowed(second, "acme.test", 30)
    assert 38 <= granted <= 42  # the burst, give or take a portion held by one of them and a second's refill


async def test_partners_do_not_share_a_bucket(redis_url: str) -> None:
    async with limiter(redis_url) as limits:
        assert await allowed(limits, "greedy.test", 100) < 60
        assert await allowed(limits, "modest.test", 10) == 10


async def test_who_is_refused_learns_when_to_come_back(redis_url: str) -> None:
    async with limiter(redis_url) as limits:
        await allowed(limits, "acme.test", 60)
        verdict = await limits.admit("acme.test")
    assert not verdict.is_allowed
    assert 0 < verdict.retry_after_s <= 1.5


async def test_without_redis_each_process_counts_by_itself() -> None:
    async with limiter(None) as limits:
        assert await allowed(limits, "acme.test", 100) in {40, 41}


async def test_a_dead_redis_costs_nothing_and_refuses_nobody() -> None:
    async with limiter(NOWHERE) as limits, asyncio.timeout(1):
        assert await allowed(limits, "acme.test", 30) == 30


async def test_concurrent_requests_are_counted_exactly_once_each() -> None:
    async with limiter(None) as limits:
        verdicts = await asyncio.gather(*(limits.admit("acme.test") for _ in range(200)))
    assert sum(verdict.is_allowed for verdict in verdicts) in {40, 41}


async def test_a_request_that_weighs_as_many_is_admitted_whole_or_not_at_all(redis_url: str) -> None:
    for url in (redis_url, None):
        async with limiter(url, Rate(per_s=10, burst=1000)) as limits:
            first = await limits.admit("acme.test", 700)
            refused = await limits.admit("acme.test", 700)
            single = await limits.admit("acme.test")
            fitting = await limits.admit("acme.test", 290)
        assert [each.is_allowed for each in (first, refused, single, fitting)] == [True, False, True, True]
        assert (first.remaining, refused.remaining) == (300, 300)
        assert 39.0 < refused.retry_after_s <= 40.0, "until the other 400 are there, at 10 a second"


async def test_the_whole_burst_can_be_one_request() -> None:
    async with limiter(None) as limits:
        assert (await limits.admit("acme.test")).is_allowed
        assert (await limits.admit("acme.test", SLOW.burst - 1)).is_allowed


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
        granted = await allowed(first, "acme.test", 50) + await allowed(second, "acme.test", 50)

    assert granted <= 42


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
    rate, wants = Rate(per_s=10, burst=5), ((2, 1), (2, 1), (2, 2), (2, 1), (2, 1))
    answers = [await script(keys=["bucket"], args=[rate.interval_us, rate.burst, want, least]) for want, least in wants]
    assert [answer[:2] for answer in answers] == [[2, 3], [2, 1], [0, 1], [1, 0], [0, 0]]
    assert 0 < answers[2][2] <= 100_001
    assert 0 < answers[4][2] <= 100_001
    assert 0 < await client.pttl("bucket") <= 501
    await client.aclose()
