"""A partner that sends more than its rate is told so, and when to come back; others do not notice."""

from functools import partial
from itertools import count

import pytest

from infra.http.auth import Authenticator
from infra.http.context import RequestContext
from infra.http.problems import Problem
from infra.redis.gcra import Rate
from infra.redis.rate_limit import RateLimiter
from tests.support.services.small_service import PEPPER, KnownKeys


def limiter(burst: int) -> RateLimiter:
    """Return a limiter of one request a second and so many at once, whose clock moves by a millisecond a look."""
    return RateLimiter(Rate(per_s=1, burst=burst), None, now_s=partial(next, count(0.0, 0.001)))


def request_with(key: str) -> RequestContext:
    return RequestContext("r-1", None, 0.0, headers={b"authorization": b"Bearer " + key.encode()})


async def test_every_answer_says_how_much_is_left() -> None:
    keys = KnownKeys()
    authenticator = Authenticator(PEPPER.encode(), keys, limiter=limiter(3))
    context = request_with(keys.issue("acme"))
    await authenticator.authenticate(context)
    assert context.response_headers == [
        (b"ratelimit-policy", b'"partner";q=3;w=3'),
        (b"ratelimit", b'"partner";r=2;t=0'),
    ]


async def test_more_than_the_rate_is_429_with_retry_after_and_only_for_that_partner() -> None:
    keys = KnownKeys()
    authenticator = Authenticator(PEPPER.encode(), keys, limiter=limiter(3))
    greedy, modest = keys.issue("greedy"), keys.issue("modest")
    for _ in range(3):
        await authenticator.authenticate(request_with(greedy))
    with pytest.raises(Problem) as refused:
        await authenticator.authenticate(request_with(greedy))
    assert (refused.value.kind.code, refused.value.kind.status) == ("rate_limited", 429)
    assert int(refused.value.headers["retry-after"]) >= 1
    assert (await authenticator.authenticate(request_with(modest))).partner_id == "modest"


async def test_the_two_keys_of_a_partner_share_one_rate() -> None:
    keys = KnownKeys()
    authenticator = Authenticator(PEPPER.encode(), keys, limiter=limiter(2))
    for key in (keys.issue("acme"), keys.issue("acme")):
        await authenticator.authenticate(request_with(key))
    with pytest.raises(Problem):
        await authenticator.authenticate(request_with(keys.issue("acme")))


async def test_a_request_that_carries_many_commands_counts_as_so_many() -> None:
    keys = KnownKeys()
    authenticator = Authenticator(PEPPER.encode(), keys, limiter=limiter(10))
    key = keys.issue("acme")
    context = request_with(key)
    principal = await authenticator.authenticate(context)

    await authenticator.count_more(principal, context, 7)

    assert context.response_headers == [
        (b"ratelimit-policy", b'"partner";q=10;w=10'),
        (b"ratelimit", b'"partner";r=2;t=0'),
    ]
    with pytest.raises(Problem) as refused:
        await authenticator.count_more(principal, context, 7)
    assert (refused.value.kind.code, refused.value.headers["retry-after"]) == ("rate_limited", "6")
    await authenticator.authenticate(request_with(key))


@pytest.mark.parametrize("commands", [2, 7, 10])
async def test_who_comes_back_with_many_commands_when_told_to_is_let_in(commands: int) -> None:
    now_s = [0.0]
    keys = KnownKeys()
    slow = RateLimiter(Rate(per_s=1, burst=10), None, now_s=lambda: now_s[0])
    authenticator = Authenticator(PEPPER.encode(), keys, limiter=slow)
    key = keys.issue("acme")

    async def send(at_once: int) -> None:
        context = request_with(key)
        await authenticator.count_more(await authenticator.authenticate(context), context, at_once - 1)

    for _ in range(9):  # one is left: enough for a request, not for what it carries
        await send(1)
    now_s[0] += 0.5  # a full second more or less would be hidden by the rounding of the header
    with pytest.raises(Problem) as refused:
        await send(commands)

    now_s[0] += int(refused.value.headers["retry-after"])
    await send(commands)


async def test_more_commands_than_the_rate_ever_allows_at_once_is_a_definite_answer() -> None:
    keys = KnownKeys()
    authenticator = Authenticator(PEPPER.encode(), keys, limiter=limiter(10))
    context = request_with(keys.issue("acme"))
    principal = await authenticator.authenticate(context)

    with pytest.raises(Problem) as refused:
        await authenticator.count_more(principal, context, 10)

    assert (refused.value.kind.code, refused.value.kind.status) == ("above_rate", 422)
    assert refused.value.members == {"max_commands": 10}
