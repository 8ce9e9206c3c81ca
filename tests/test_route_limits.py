"""On every route of both services, responses state the rate of a known key and how long a refused one must wait.

The routes come from the services: a new one is tested without a line here.
"""

import itertools
from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from command_api import catalogue
from infra.http import problems
from infra.http.problems import Problem, ProblemType
from infra.redis.gcra import Rate
from infra.redis.rate_limit import RateLimiter
from infra.security.api_keys import INSTALLATION_SCOPES, PARTNER_SCOPES
from query_api import problems as of_query_api
from tests.support.requests import route_matrix
from tests.support.requests.route_matrix import Call, ServiceName, calls, without_database

EVERY_CALL = pytest.mark.parametrize("call", calls(), ids=str)
PLENTY = Rate(per_s=1000, burst=1000)
ONE_A_SECOND = Rate(per_s=1, burst=1)
WAIT: list[ProblemType] = [
    kind for kind in (*problems.CATALOGUE, *catalogue.CATALOGUE, *of_query_api.CATALOGUE) if kind.status in {429, 503}
]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a response says about the rate and about waiting."""

    status: int
    rate: bool
    wait_s: int | None

    @classmethod
    def of(cls, answer: httpx.Response) -> "Limits":
        rate = {"ratelimit", "ratelimit-policy"} <= set(answer.headers)
        wait = answer.headers.get("retry-after")
        return cls(answer.status_code, rate, None if wait is None else int(wait))


@EVERY_CALL
async def test_every_response_to_a_good_key_states_its_rate(call: Call) -> None:
    async with without_database(call.service, PLENTY) as (http, keys):
        answers = [
            Limits.of(await call.send(http, keys.issue(partner_id, scopes=scopes)))
            for partner_id, scopes in (
                ("acme", PARTNER_SCOPES),
                ("acme", PARTNER_SCOPES - set(call.scopes)),
                (None, INSTALLATION_SCOPES),
            )
        ]
        stranger = Limits.of(await call.send(http, None))

    assert all(each.rate for each in answers), answers
    assert stranger == Limits(401, rate=False, wait_s=None)
    for each in answers:
        assert (each.wait_s is not None) is (each.status in {429, 503}), each


@EVERY_CALL
async def test_above_the_rate_every_route_responds_429_and_when_to_come_back(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_millisecond_a_look = partial(next, itertools.count(1.0, 0.001))  # however long the machine takes
    monkeypatch.setattr(route_matrix, "RateLimiter", partial(RateLimiter, now_s=a_millisecond_a_look))
    async with without_database(call.service, ONE_A_SECOND) as (http, keys):
        await call.send(http, keys.issue("acme"))
        refused = await call.send(http, keys.issue("acme"))
        others = [await call.send(http, keys.issue("acme", livemode=True)), await call.send(http, keys.issue("globex"))]

    assert Limits.of(refused) == Limits(429, rate=True, wait_s=1)
    assert refused.json()["code"] == "rate_limited"
    assert all(answer.status_code != 429 for answer in others), "another mode and another partner have their own"


@pytest.mark.parametrize("kind", WAIT, ids=lambda kind: kind.code)
def test_a_problem_that_asks_to_come_back_later_says_when(kind: ProblemType) -> None:
    assert kind.retryable
    assert int(Problem(kind).headers["retry-after"]) >= 1


@pytest.mark.parametrize("service", ["command", "query"])
async def test_without_a_database_a_service_lives_and_says_what_it_waits_for(service: ServiceName) -> None:
    async with without_database(service) as (http, _keys):
        alive, ready = await http.get("/livez"), await http.get("/readyz")

    assert alive.status_code == 200
    assert (ready.status_code, ready.headers["retry-after"]) == (503, "1")
    assert ready.json()["waiting_for"] == ["database_unreachable"]
