"""A partner finds its deliveries, how each attempt went, and the id to resend one by."""

from infra import clock
from query_api.webhooks import responses
from tests.support.services.query_service import DELIVERIES, QueryService


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
        data = (await service.get(f"{DELIVERIES}?{query}", key)).json()["data"]
        assert sorted(item["status"] for item in data) == found, query
        assert all((item["next_attempt_at"] is None) is (item["status"] != "pending") for item in data)


async def test_deliveries_of_one_endpoint_are_found_and_a_walk_meets_each_once_newest_first(
    service: QueryService,
) -> None:
    endpoint_id = clock.new_id()
    made = [str(await service.rows.add_delivery("acme.test", endpoint_id=endpoint_id)) for _ in range(7)]
    await service.rows.add_delivery("acme.test")

    pages = await service.pages(f"{DELIVERIES}?limit=3&endpoint_id={endpoint_id}", await service.key())

    assert [item["id"] for page in pages for item in page] == made[::-1]
