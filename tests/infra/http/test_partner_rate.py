"""A partner that sends more than its rate is told so, and when to come back; others do not notice."""

import pytest

from infra.http.auth import Authenticator
from infra.http.context import RequestContext
from infra.http.problems import Problem
from infra.redis.gcra import Rate
from infra.redis.rate_limit import RateLimiter
from tests.support.small_service import PEPPER, KnownKeys


def request_with(key: str) -> RequestContext:
    return RequestContext("r-1", None, 0.0, headers={b"authorization": b"Bearer " + key.encode()})


async def test_every_answer_says_how_much_is_left() -> None:
    keys = KnownKeys()
    authenticator = Authenticator(PEPPER.encode(), keys, limiter=RateLimiter(Rate(per_s=1, burst=3), None))
    context = request_with(keys.issue("acme"))
    await authenticator.authenticate(context)
    assert context.answer_headers == [(b"ratelimit-policy", b'"partner";q=3;w=3'), (b"ratelimit", b'"partner";r=2;t=0')]


async def test_more_than_the_rate_is_429_with_retry_after_and_only_for_that_partner() -> None:
    keys = KnownKeys()
    authenticator = Authenticator(PEPPER.encode(), keys, limiter=RateLimiter(Rate(per_s=1, burst=3), None))
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
    authenticator = Authenticator(PEPPER.encode(), keys, limiter=RateLimiter(Rate(per_s=1, burst=2), None))
    for key in (keys.issue("acme"), keys.issue("acme")):
        await authenticator.authenticate(request_with(key))
    with pytest.raises(Problem):
        await authenticator.authenticate(request_with(keys.issue("acme")))
