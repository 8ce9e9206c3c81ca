"""What a problem says besides its code is documented: the schema describes each member, and the example has it."""

from typing import Any

import httpx
import pytest

from infra.redis.gcra import Rate
from tests.support.orders.builders import order_body
from tests.support.requests.documented import assert_documented
from tests.support.requests.route_matrix import DOCUMENTS
from tests.support.services.command_service import BATCH, ORDERS, Service, memory_service

Json = dict[str, Any]


async def send(service: Service, method: str, rest: str, body: Json, key: str, **headers: str) -> httpx.Response:
    sent = {"idempotency-key": key} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await service.http.request(method, f"{ORDERS}{rest}", json=body, headers=sent)


@pytest.fixture
async def order(service: Service) -> str:
    created = await send(service, "POST", "", order_body(external_reference="PO-1"), "k")
    return f"/{created.json()['id']}"


async def test_the_version_that_an_edit_missed_and_its_etag(service: Service, order: str) -> None:
    refused = await send(service, "PATCH", order, {"metadata": {}}, "edit", if_match='"9"')

    assert_documented(refused, "precondition_failed")
    for path, method in ((ORDERS + "/{order_id}", "patch"), (ORDERS + "/{order_id}/notes", "post")):
        assert "ETag" in DOCUMENTS["command"]["paths"][path][method]["responses"]["412"]["headers"]


async def test_what_the_status_of_an_order_refuses(service: Service, order: str) -> None:
    assert_documented(await send(service, "PATCH", f"{order}/status", {"status": "settled"}, "a"), "invalid_transition")
    assert_documented(await send(service, "POST", f"{order}/captures", {}, "b"), "not_authorized")


async def test_what_the_amounts_of_an_order_refuse(service: Service, order: str) -> None:
    await send(service, "POST", f"{order}/authorize", {}, "a")
    refused = await send(service, "POST", f"{order}/captures", {"amount": "999999.00"}, "b")

    assert_documented(refused, "amount_exceeds_capturable")


async def test_what_was_used_before(service: Service, order: str) -> None:  # noqa: ARG001  # it is there
    other_key = await send(service, "POST", "", order_body(external_reference="PO-1"), "k2")
    same_key = await send(service, "POST", "", order_body(external_reference="PO-2"), "k")

    assert_documented(other_key, "duplicate_external_reference")
    assert_documented(same_key, "idempotency_key_mismatch")


async def test_what_a_key_may_not() -> None:
    async with memory_service(rate=Rate(per_s=1, burst=2)) as service:
        item = {"idempotency_key": "k", "order": order_body()}
        above = await service.http.post(BATCH, json={"orders": [item] * 3})
        reader = {"authorization": f"Bearer {service.keys.issue(scopes={'orders:read'})}", "idempotency-key": "k"}
        unscoped = await service.http.post(ORDERS, json=order_body(), headers=reader)

    assert_documented(above, "above_rate")
    assert_documented(unscoped, "scope_missing")
