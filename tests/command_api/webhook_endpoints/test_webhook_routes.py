"""The webhook routes over HTTP on PostgreSQL: shapes, refusals, isolation between partners and modes."""

from collections.abc import AsyncIterator

import pytest

from tests.support.services.command_service import Service, postgres_service
from tests.support.services.servers import Database
from tests.support.services.webhooks import create_endpoint, queue_orders, read_deliveries

ENDPOINTS = "/api/v1/webhook-endpoints"
UNKNOWN = "019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"
GOOD: dict[str, object] = {"url": "https://hooks.example.com/orders"}


@pytest.fixture
async def service(database: Database) -> AsyncIterator[Service]:
    async with postgres_service(database) as running:
        yield running


async def test_an_endpoint_is_created_listed_and_deleted_and_its_secret_shown_once(service: Service) -> None:
    body = GOOD | {"description": "order desk", "event_types": ["order.*", "order.*"], "payload": "thin"}

    created = await service.http.post(ENDPOINTS, json=body)

    document = created.json()
    secret, endpoint_id = document.pop("secret"), document["id"]
    assert created.status_code == 201
    assert created.headers["location"] == f"{ENDPOINTS}/{endpoint_id}"
    assert secret.startswith("whsec_")
    assert len(secret) == 50
    assert document == {
        "id": endpoint_id,
        "object": "webhook_endpoint",
        "url": "https://hooks.example.com/orders",
        "description": "order desk",
        "event_types": ["order.*"],
        "payload": "thin",
        "livemode": False,
        "status": "enabled",
        "status_reason": None,
        "created_at": document["created_at"],
    }
    listed = await service.http.get(ENDPOINTS)
    assert listed.json() == {"data": [document], "has_more": False, "next_cursor": None}
    found = await service.http.get(f"{ENDPOINTS}/{endpoint_id}")
    assert (found.status_code, found.json()) == (200, document)
    assert secret not in listed.text + found.text
    assert (await service.http.delete(f"{ENDPOINTS}/{endpoint_id}")).status_code == 204
    assert (await service.http.delete(f"{ENDPOINTS}/{endpoint_id}")).status_code == 404
    assert (await service.http.get(f"{ENDPOINTS}/{endpoint_id}")).status_code == 404
    assert (await service.http.get(ENDPOINTS)).json()["data"] == []


async def test_endpoints_come_in_pages(service: Service) -> None:
    made = [(await service.http.post(ENDPOINTS, json=GOOD)).json()["id"] for _ in range(3)]

    first = await service.http.get(f"{ENDPOINTS}?limit=2")
    second = await service.http.get(first.links["next"]["url"])

    assert [[each["id"] for each in page.json()["data"]] for page in (first, second)] == [made[:2], made[2:]]
    assert [page.json()["has_more"] for page in (first, second)] == [True, False]
    assert second.json()["next_cursor"] is None
    assert (await service.http.get(f"{ENDPOINTS}?limit=0")).json()["errors"][0]["code"] == "limit_invalid"
    assert (await service.http.get(f"{ENDPOINTS}?cursor=AAAA")).json()["code"] == "cursor_invalid"


async def test_a_partner_has_twenty_endpoints_at_most(service: Service) -> None:
    answers = [(await service.http.post(ENDPOINTS, json=GOOD)).status_code for _ in range(21)]
    assert answers == [201] * 20 + [409]
    refused = await service.http.post(ENDPOINTS, json=GOOD)
    assert refused.json()["code"] == "too_many_webhook_endpoints"
    assert "at most 20 webhook endpoints in one mode" in refused.json()["detail"]


async def test_the_operator_names_top_level_domains_that_are_newer_than_the_list(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARBOR_WEBHOOKS__EXTRA_TOP_LEVEL_DOMAINS", "brandnew, xn--brandnew-abc")
    async with postgres_service(database) as service:
        taken = await service.http.post(ENDPOINTS, json={"url": "https://hooks.brandnew/"})
        refused = await service.http.post(ENDPOINTS, json={"url": "https://hooks.notatld/"})
    assert (taken.status_code, refused.status_code) == (201, 422)
    assert refused.json()["errors"][0]["code"] == "host_not_public"


async def test_a_delivery_that_does_not_exist_cannot_be_sent_again(service: Service) -> None:
    for delivery_id in (UNKNOWN, UNKNOWN.upper(), "1", "9223372036854775808", "%00", "a" * 500):
        answer = await service.http.post(f"/api/v1/webhook-deliveries/{delivery_id}/resend")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), delivery_id


async def test_nothing_is_sent_again_to_an_endpoint_that_is_not_enabled(service: Service, database: Database) -> None:
    created = await create_endpoint(database, "https://example.com/")
    await queue_orders(database, 1)
    [delivery] = await read_deliveries(database)
    resend = f"/api/v1/webhook-deliveries/{delivery['delivery_id']}/resend"

    await database.fetch("UPDATE harbor.webhook_endpoints SET status = 'disabled'")
    disabled = await service.http.post(resend)
    await service.http.delete(f"{ENDPOINTS}/{created.endpoint.endpoint_id}")
    deleted = await service.http.post(resend)

    assert (disabled.status_code, disabled.json()["code"]) == (409, "webhook_endpoint_not_enabled")
    assert (deleted.status_code, deleted.json()["code"]) == (404, "not_found")
