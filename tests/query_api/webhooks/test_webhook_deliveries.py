"""A partner finds its deliveries, how each attempt went, and the id to resend one by."""

from collections.abc import AsyncIterator

import pytest

from infra import clock
from query_api.webhooks import responses
from tests.support.services.query_service import DELIVERIES, QueryService, query_service
from tests.support.services.servers import Database


@pytest.fixture
async def service(database: Database) -> AsyncIterator[QueryService]:
    async with query_service(database) as running:
        yield running


async def test_a_delivery_shows_its_attempts(service: QueryService) -> None:
    delivery_id = await service.rows.add_delivery("acme.test", state="dead", note="no thanks")

    answer = await service.get(f"{DELIVERIES}/{delivery_id}", await service.key())

    responses.DeliveryWithAttempts.model_validate_json(answer.content)
    body = answer.json()
    assert [body["id"], body["status"], body["next_attempt_at"]] == [str(delivery_id), "dead", None]
    assert body["attempts"] == [
        {
            "attempt": 1,
            "started_at": "2026-11-23T01:02:03.123456Z",
            "latency_ms": 12,
            "outcome": "refused",
            "status": 500,
            "answer": "no thanks",
        }
    ]


async def test_a_delivery_being_sent_counts_as_pending(service: QueryService) -> None:
    for state in ("pending", "leased", "delivered", "dead"):
        await service.rows.add_delivery("acme.test", state=state)
    key = await service.key()
    expected = {
        "": ["dead", "delivered", "pending", "pending"],
        "status=pending": ["pending", "pending"],
        "status=dead": ["dead"],
        "status=discarded": [],
    }

    for query, found in expected.items():
        answer = await service.get(f"{DELIVERIES}?{query}", key)
        assert sorted(item["status"] for item in answer.json()["data"]) == found, query


async def test_deliveries_of_one_endpoint_are_found(service: QueryService) -> None:
    endpoint_id = clock.new_id()
    wanted = await service.rows.add_delivery("acme.test", endpoint_id=endpoint_id)
    await service.rows.add_delivery("acme.test")

    answer = await service.get(f"{DELIVERIES}?endpoint_id={endpoint_id}", await service.key())

    assert [item["id"] for item in answer.json()["data"]] == [str(wanted)]


async def test_a_walk_over_deliveries_meets_each_once_newest_first(service: QueryService) -> None:
    made = [str(await service.rows.add_delivery("acme.test")) for _ in range(7)]
    key, url, seen = await service.key(), f"{DELIVERIES}?limit=3", []
    while url:
        answer = await service.http.get(url, headers=key)
        seen += [item["id"] for item in answer.json()["data"]]
        url = answer.links.get("next", {}).get("url", "")

    assert seen == made[::-1]


async def test_a_key_without_the_scope_sees_no_delivery(service: QueryService) -> None:
    answer = await service.get(DELIVERIES, await service.key(scopes=["orders:read"]))

    assert [answer.status_code, answer.json()["code"]] == [403, "scope_missing"]
