"""A partner that sends more than its rate is refused, with when to come back; others do not notice."""

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


def keys_and_authenticator(limiter: RateLimiter) -> tuple[KnownKeys, Authenticator]:
    keys = KnownKeys()
    return keys, Authenticator(PEPPER.encode(), keys, limiter=limiter)


def request_with(key: str) -> RequestContext:
    return RequestContext("r-1", 0.0, headers={b"authorization": b"Bearer " + key.encode()})


async def test_every_response_says_how_much_is_left_and_two_keys_of_a_partner_share_its_rate() -> None:
    keys, authenticator = keys_and_authenticator(limiter(2))
    context = request_with(keys.issue("acme"))
    await authenticator.authenticate(context)
    await authenticator.authenticate(request_with(keys.issue("acme")))

    assert context.response_headers == [
        (b"ratelimit-policy", b'"partner";q=2;w=2'),
        (b"ratelimit", b'"partner";r=1;t=0'),
    ]
    with pytest.raises(Problem) as refused:
        await authenticator.authenticate(request_with(keys.issue("acme")))
    assert (refused.value.kind.code, refused.value.kind.status) == ("rate_limited", 429)
    assert int(refused.value.headers["retry-after"]) >= 1
    assert (await authenticator.authenticate(request_with(keys.issue("modest")))).partner_id == "modest"


async def test_a_request_that_carries_many_commands_counts_as_so_many() -> None:
    keys, authenticator = keys_and_authenticator(limiter(10))
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
async def test_a_client_that_comes_back_with_many_commands_after_the_wait_is_let_in(commands: int) -> None:
    now_s = [0.0]
    keys, authenticator = keys_and_authenticator(RateLimiter(Rate(per_s=1, burst=10), None, now_s=lambda: now_s[0]))
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
    keys, authenticator = keys_and_authenticator(limiter(10))
    context = request_with(keys.issue("acme"))
    principal = await authenticator.authenticate(context)

    with pytest.raises(Problem) as refused:
        await authenticator.count_more(principal, context, 10)

    assert (refused.value.kind.code, refused.value.kind.status) == ("above_rate", 422)
    assert refused.value.members == {"max_commands": 10}
