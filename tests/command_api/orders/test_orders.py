"""The order routes, from request to answer: what a partner can rely on when everything is in order."""

from collections.abc import AsyncIterator

import orjson
import pytest

from domain.codec import decode
from domain.order.document import Order
from infra.partitioning import partition_of
from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, Service, memory_service


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with memory_service() as running:
        yield running


async def test_an_order_is_created_with_its_location_version_and_token(service: Service) -> None:
    answer = await service.post(body=order_body(external_reference="PO-1", metadata={"channel": "web"}))

    order = answer.json()
    document = Order.model_validate_json(answer.content)
    assert answer.status_code == 201
    assert (order["status"], order["version"], order["total"]["amount"]) == ("pending", 1, "64.97")
    assert answer.headers["location"] == f"{ORDERS}/{order['id']}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["consistency-token"] == f"{partition_of(document.id, 12)}.1"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "idempotency-replayed" not in answer.headers


async def test_the_event_tells_who_did_it_in_which_request_and_trace(service: Service) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    answer = await service.post(body=order_body(), X_Request_ID="req-42", traceparent=traceparent)

    [event] = await service.store.read_all(0, 10)
    envelope = decode(event.type, event.schema_version, event.payload).envelope
    assert answer.headers["x-request-id"] == "req-42"
    assert (envelope.request_id, envelope.traceparent, event.traceparent) == ("req-42", traceparent, traceparent)
    assert (envelope.actor.type, envelope.actor.id, envelope.partner_id) == ("api_key", "acme", "acme")
    assert event.actor == f"api_key:{envelope.actor.key_id}"
    assert event.tenant_id == "acme.test"


async def test_an_order_is_driven_through_its_life_by_verbs(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]

    authorized = await service.post(f"{ORDERS}/{order_id}/authorize")
    captured = await service.post(f"{ORDERS}/{order_id}/captures", {})

    assert [(a.status_code, a.json()["status"], a.headers["etag"]) for a in (authorized, captured)] == [
        (200, "authorized", '"2"'),
        (200, "captured", '"3"'),
    ]
    assert [event.type for event in await service.store.read_all(0, 10)] == [
        "order.created",
        "order.authorized",
        "order.captured",
    ]


async def test_an_order_is_canceled_with_a_reason(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]

    answer = await service.post(f"{ORDERS}/{order_id}/cancel", {"reason": "ordered twice"})

    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert answer.json()["cancel_reason"] == "ordered twice"


async def test_the_status_address_does_what_leads_to_the_status(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]

    statuses = [
        (await service.send("PATCH", f"{ORDERS}/{order_id}/status", {"status": status})).json()["status"]
        for status in ("authorized", "captured")
    ]

    assert statuses == ["authorized", "captured"]
    assert await service.store.head() == 3


async def test_the_status_an_order_has_already_changes_nothing_and_its_answer_is_recorded(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]
    path = f"{ORDERS}/{order_id}/status"

    first = await service.send("PATCH", path, {"status": "pending"}, key="same")
    await service.post(f"{ORDERS}/{order_id}/authorize")
    again = await service.send("PATCH", path, {"status": "pending"}, key="same")

    assert (first.status_code, first.json()["version"], first.headers["etag"]) == (200, 1, '"1"')
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert await service.store.head() == 2


REFUSED_VERBS = [
    ([], "captures", 409, "not_authorized"),
    (["authorize"], "authorize", 409, "already_authorized"),
    (["authorize", "captures"], "captures", 409, "already_captured"),
    (["authorize", "captures"], "cancel", 409, "already_captured_use_refund"),
    (["cancel"], "authorize", 409, "order_terminal"),
    (["cancel"], "cancel", 409, "order_terminal"),
]


@pytest.mark.parametrize(("before", "verb", "status", "code"), REFUSED_VERBS)
async def test_a_verb_that_the_status_does_not_allow_is_refused_with_what_is_allowed(
    service: Service, before: list[str], verb: str, status: int, code: str
) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]
    for step in before:
        await service.post(f"{ORDERS}/{order_id}/{step}")

    answer = await service.post(f"{ORDERS}/{order_id}/{verb}", key="k")

    problem = answer.json()
    assert (answer.status_code, problem["code"], answer.headers["content-type"]) == (
        status,
        code,
        "application/problem+json",
    )
    assert problem["retryable"] is False
    assert set(problem) >= {"current_status", "requested", "allowed_transitions", "current_version"}
    assert problem["current_version"] == len(before) + 1
    assert await service.store.head() == len(before) + 1


async def test_a_status_that_no_verb_leads_to_is_an_invalid_transition(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]

    answer = await service.send("PATCH", f"{ORDERS}/{order_id}/status", {"status": "captured"})

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "invalid_transition")
    assert (problem["current_status"], problem["requested"]) == ("pending", "captured")
    assert problem["allowed_transitions"] == ["authorized", "canceled"]


@pytest.mark.parametrize("requested", ["pending", "partially_captured", "settled", "expired"])
async def test_a_status_that_no_verb_leads_to_yet_is_refused_for_good_and_the_refusal_is_recorded(
    service: Service, requested: str
) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]
    await service.post(f"{ORDERS}/{order_id}/authorize")
    path = f"{ORDERS}/{order_id}/status"

    refused = await service.send("PATCH", path, {"status": requested}, key="same")
    await service.post(f"{ORDERS}/{order_id}/captures")
    again = await service.send("PATCH", path, {"status": requested}, key="same")

    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["retryable"]) == (409, "invalid_transition", False)
    assert (problem["current_status"], problem["requested"]) == ("authorized", requested)
    assert (problem["allowed_transitions"], problem["current_version"]) == (["captured", "canceled"], 2)
    assert (again.content, again.headers["idempotency-replayed"]) == (refused.content, "true")
    assert await service.store.head() == 3


async def test_an_external_reference_is_taken_for_ever_and_the_refusal_is_recorded(service: Service) -> None:
    await service.post(body=order_body(external_reference="PO-1"))

    refused = await service.post(body=order_body(external_reference="PO-1"), key="second")
    again = await service.post(body=order_body(external_reference="PO-1"), key="second")

    assert (refused.status_code, refused.json()["code"]) == (409, "duplicate_external_reference")
    assert (again.content, again.headers["idempotency-replayed"]) == (refused.content, "true")
    assert await service.store.head() == 1


async def test_two_spellings_of_one_external_reference_are_one(service: Service) -> None:
    await service.post(body=order_body(external_reference="Caf\u00e9"))

    refused = await service.post(body=order_body(external_reference="Cafe\u0301"))

    assert refused.json()["code"] == "duplicate_external_reference"


async def test_an_external_reference_of_another_partner_or_mode_is_free(service: Service) -> None:
    keys = [service.keys.issue("other"), service.keys.issue("acme", livemode=True)]
    await service.post(body=order_body(external_reference="PO-1"))

    answers = [
        await service.post(body=order_body(external_reference="PO-1"), Authorization=f"Bearer {key}") for key in keys
    ]

    assert [answer.status_code for answer in answers] == [201, 201]


async def test_the_longest_reference_of_any_script_is_accepted(service: Service) -> None:
    answer = await service.post(body=order_body(external_reference="\U00020000" * 128))

    assert answer.status_code == 201


async def test_texts_come_back_normalised_and_formulas_stay_data(service: Service) -> None:
    lines = [{"sku": "=cmd|'/c calc'!A1", "quantity": 1, "unit_price": "1.00"}]

    answer = await service.post(body=order_body(lines=lines, metadata={"note": "Cafe\u0301"}))

    order = answer.json()
    assert order["lines"][0]["sku"] == "=cmd|'/c calc'!A1"
    assert order["metadata"] == {"note": "Caf\u00e9"}


async def test_amounts_follow_the_currency(service: Service) -> None:
    yen = await service.post(body=order_body(currency="JPY", lines=[{"sku": "a", "quantity": 3, "unit_price": "100"}]))
    dinar = await service.post(
        body=order_body(currency="KWD", lines=[{"sku": "a", "quantity": 1, "unit_price": "0.005"}])
    )

    assert yen.json()["total"] == {"amount": "300", "amount_minor": 300, "currency": "JPY"}
    assert dinar.json()["total"] == {"amount": "0.005", "amount_minor": 5, "currency": "KWD"}


async def test_an_order_of_a_thousand_lines_is_one_order(service: Service) -> None:
    lines = [{"sku": f"SKU-{number}", "quantity": 1, "unit_price": "1.00"} for number in range(1000)]

    answer = await service.post(body=order_body(lines=lines))

    assert (answer.status_code, answer.json()["total"]["amount"]) == (201, "1000.00")
    assert len(orjson.loads((await service.store.read_all(0, 1))[0].payload)["data"]["lines"]) == 1000
