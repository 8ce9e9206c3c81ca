"""Editing an order: lines, details, notes; If-Match says what the editor has seen."""

import httpx
import pytest

from domain.codec import decode
from domain.order.events import OrderNoteAdded
from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, Json, Service, memory_service

AMENDMENT: Json = {
    "changes": [
        {"op": "add", "sku": "LANTERN-2", "quantity": 2, "unit_price": "24.90"},
        {"op": "set_quantity", "line_id": 1, "quantity": 5},
        {"op": "set_price", "line_id": 1, "unit_price": "18.00"},
        {"op": "remove", "line_id": 2},
    ],
    "reason": "new list",
}


@pytest.fixture
async def order(service: Service) -> str:
    """Return the address of a new order."""
    return f"{ORDERS}/{(await service.post(body=order_body())).json()['id']}"


async def amend(service: Service, order: str, version: int, body: object = None, key: str = "") -> httpx.Response:
    return await service.post(f"{order}/amendments", body or AMENDMENT, key=key, If_Match=f'"{version}"')


async def update(service: Service, order: str, version: int, body: object, key: str = "") -> httpx.Response:
    return await service.send("PATCH", order, body, key=key, If_Match=f'"{version}"')


async def test_an_amendment_changes_the_lines_and_the_total(service: Service, order: str) -> None:
    answer = await amend(service, order, 1)

    amended = answer.json()
    assert (answer.status_code, answer.headers["etag"], amended["status"]) == (200, '"2"', "pending")
    assert [(line["line_id"], line["sku"], line["total"]["amount"]) for line in amended["lines"]] == [
        (1, "LANTERN-1", "90.00"),
        (3, "LANTERN-2", "49.80"),
    ]
    assert amended["total"]["amount"] == "139.80"


async def test_an_amendment_that_breaks_a_rule_changes_nothing_and_leaves_the_key_free(
    service: Service, order: str
) -> None:
    broken = {"changes": [AMENDMENT["changes"][0], {"op": "set_price", "line_id": 9, "unit_price": "1.999"}]}

    refused = await amend(service, order, 1, broken, key="k")
    mended = await amend(service, order, 1, key="k")

    assert [(error["pointer"], error["code"]) for error in refused.json()["errors"]] == [
        ("/changes/1/line_id", "line_unknown"),
        ("/changes/1/unit_price", "currency_precision"),
    ]
    assert (refused.status_code, mended.status_code) == (422, 200)


async def test_if_match_is_compared_with_the_version_another_process_made(service: Service, order: str) -> None:
    async with memory_service(service.store) as other:
        await other.post(f"{order}/notes", {"note": "call first"})

        older = await amend(service, order, 1)  # the version that this process has in its cache
        current = await amend(service, order, 2)

    assert (older.status_code, older.json()["current_version"], older.headers["etag"]) == (412, 2, '"2"')
    assert (current.status_code, current.json()["version"]) == (200, 3)


async def test_details_are_changed_where_the_body_names_them(service: Service, order: str) -> None:
    body = {"customer_email": "purchasing@example.com", "metadata": {"channel": "phone"}, "external_reference": "PO-1"}

    answer = await update(service, order, 1, body)

    changed = answer.json()
    assert {name: changed[name] for name in body} == body
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')


@pytest.mark.parametrize("body", [{"customer_email": "other@example.com"}, {"external_reference": "PO-2"}])
async def test_a_locked_field_is_named(service: Service, body: Json) -> None:
    order = f"{ORDERS}/{(await service.post(body=order_body(external_reference='PO-1'))).json()['id']}"
    await service.post(f"{order}/authorize")

    answer = await update(service, order, 2, body)

    assert (answer.status_code, answer.json()["code"]) == (409, "field_locked")
    assert answer.json()["requested"] == next(iter(body))


async def test_a_reference_that_another_order_has_is_refused_and_the_refusal_is_recorded(
    service: Service, order: str
) -> None:
    owner = await service.post(body=order_body(external_reference="Caf\u00e9"))

    refused = await update(service, order, 1, {"external_reference": "Cafe\u0301"}, key="k")
    again = await update(service, order, 1, {"external_reference": "Cafe\u0301"}, key="k")

    assert (refused.status_code, refused.json()["code"]) == (409, "duplicate_external_reference")
    assert refused.json()["existing_order_id"] == owner.json()["id"]
    assert (again.content, again.headers["idempotency-replayed"]) == (refused.content, "true")


async def test_a_note_is_kept_in_any_status_as_personal_data(service: Service, order: str) -> None:
    await service.post(f"{order}/cancel")

    answer = await service.post(f"{order}/notes", {"note": "ask for Ms Smith", "visibility": "internal"})

    event = (await service.store.read_all(2, 1))[0]
    noted = decode(event.type, event.schema_version, event.payload).event
    assert (answer.status_code, answer.json()["status"], answer.json()["version"]) == (200, "canceled", 3)
    assert isinstance(noted, OrderNoteAdded)
    assert noted.visibility == "internal"
    assert b'"personal":{"scheme":"clear","note":"ask for Ms Smith"}' in event.payload
