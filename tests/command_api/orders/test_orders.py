"""The order routes, from request to answer: what a partner can rely on when everything is in order."""

import orjson
import pytest

from domain.codec import decode
from domain.order.document import Order
from infra.partitioning import partition_of
from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, Service

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


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


async def test_the_event_records_who_did_it_in_which_request_and_trace(service: Service) -> None:
    answer = await service.post(body=order_body(), X_Request_ID="req-42", traceparent=TRACEPARENT)

    [event] = await service.store.read_all(0, 10)
    envelope = decode(event.type, event.schema_version, event.payload).envelope
    assert answer.headers["x-request-id"] == "req-42"
    assert (envelope.request_id, envelope.traceparent, event.traceparent) == ("req-42", TRACEPARENT, TRACEPARENT)
    assert (envelope.correlation_id, event.correlation_id) == ("req-42", "req-42"), "as docs/events.md says"
    assert (envelope.causation_id, event.causation_id) == (None, None)
    assert (envelope.actor.type, envelope.actor.id, envelope.partner_id) == ("api_key", "acme", "acme")
    assert event.actor == f"api_key:{envelope.actor.key_id}"
    assert event.tenant_id == "acme.test"


@pytest.mark.parametrize(
    "given",
    [
        ["00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
        ["00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"],
        [f"{TRACEPARENT}\u00e9"],
        ["nonsense"],
        [TRACEPARENT, TRACEPARENT],
    ],
)
async def test_a_traceparent_that_is_not_valid_is_not_recorded(service: Service, given: list[str]) -> None:
    headers = [(b"idempotency-key", b"k-1"), (b"content-type", b"application/json")]
    headers += [(b"traceparent", each.encode("latin-1")) for each in given]

    answer = await service.http.post(ORDERS, content=orjson.dumps(order_body()), headers=headers)

    [event] = await service.store.read_all(0, 10)
    assert (answer.status_code, event.traceparent) == (201, None)


async def test_setting_the_status_an_order_has_changes_nothing_and_the_response_is_recorded(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]
    path = f"{ORDERS}/{order_id}/status"

    first = await service.send("PATCH", path, {"status": "pending"}, key="same")
    await service.post(f"{ORDERS}/{order_id}/authorize")
    again = await service.send("PATCH", path, {"status": "pending"}, key="same")

    assert (first.status_code, first.json()["version"], first.headers["etag"]) == (200, 1, '"1"')
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert await service.store.head() == 2


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
