"""POST /orders/batch: every order is answered by itself, as if it had come alone under its key."""

import asyncio

import pytest

from command_api.handling.field_codes import FIELD_CODES
from domain.codec import decode
from tests.support.orders.batches import Json, batch, item, results, told
from tests.support.orders.builders import order_body
from tests.support.services.command_service import BATCH, ORDERS, Service


def lines(count: int) -> list[Json]:
    return [{"sku": f"SKU-{number}", "quantity": 1, "unit_price": "1.00"} for number in range(count)]


async def test_each_result_of_a_batch_is_the_response_of_a_single_create(service: Service) -> None:
    answer = await service.post(BATCH, batch(item("a"), item("b", currency="USD")))

    alone = await service.post(body=order_body(currency="USD"), key="b")
    [_, second] = results(answer)
    assert answer.json()["summary"] == {"orders": 2, "created": 2, "replayed": 0, "refused": 0, "unknown": 0}
    assert second == {
        "idempotency_key": "b",
        "status": 201,
        "replayed": False,
        "location": alone.headers["location"],
        "etag": alone.headers["etag"],
        "consistency_token": alone.headers["consistency-token"],
        "body": alone.json(),
    }
    assert answer.headers["content-type"] == "application/json"


async def test_an_item_and_a_single_create_are_the_same_request_byte_for_byte(service: Service) -> None:
    alone = await service.post(body=order_body(), key="single first")
    in_batch = await service.post(BATCH, batch(item("batch-first"), item("single-first")))
    first = await service.post(body=order_body(), key="single-first")

    again = await service.post(BATCH, batch(item('"single-first"'), item("batch-first")))
    retried = await service.post(body=dict(reversed(order_body().items())), key="batch-first")

    assert alone.status_code == 400, "a key has no spaces"
    assert retried.headers["idempotency-replayed"] == first.headers["idempotency-replayed"] == "true"
    assert [result["replayed"] for result in results(again)] == [True, True]
    assert again.json()["summary"]["replayed"] == 2
    metrics = (await service.http.get("/metrics")).text
    assert 'harbor_commands_total{outcome="replayed",type="create"} 4.0' in metrics
    for recorded in (retried.content, first.content):
        assert recorded in in_batch.content
        assert recorded in again.content
    assert await service.store.head() == 2


async def test_events_tell_of_the_request_that_brought_them(service: Service) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    await service.post(BATCH, batch(item("a"), item("b")), X_Request_ID="req-42", traceparent=traceparent)

    stored = await service.store.read_all(0, 10)
    envelopes = [decode(event.type, event.schema_version, event.payload).envelope for event in stored]
    assert [(each.request_id, each.traceparent) for each in envelopes] == [("req-42", traceparent)] * 2
    assert len({each.order_id for each in envelopes}) == 2


BAD_ITEMS: list[tuple[object, int, str, str | None, str | None]] = [
    ("order", 422, "validation_failed", "/orders/1", "wrong_type"),
    ({"order": order_body()}, 400, "idempotency_key_required", "/orders/1/idempotency_key", "required"),
    ({"idempotency_key": 1, "order": {}}, 422, "validation_failed", "/orders/1/idempotency_key", "wrong_type"),
    (item("a b"), 400, "idempotency_key_invalid", "/orders/1/idempotency_key", "idempotency_key_invalid"),
    (item("k" * 256), 400, "idempotency_key_invalid", "/orders/1/idempotency_key", "idempotency_key_invalid"),
    ({"idempotency_key": "k"}, 422, "validation_failed", "/orders/1/order", "required"),
    (item("k") | {"colour": "red"}, 422, "validation_failed", "/orders/1/colour", "unknown_field"),
    ({"idempotency_key": "k", "order": []}, 422, "validation_failed", "/orders/1/order", "wrong_type"),
    (item("k", colour="red"), 422, "validation_failed", "/orders/1/order/colour", "unknown_field"),
    (item("k", customer_email="x"), 422, "validation_failed", "/orders/1/order/customer_email", "email_malformed"),
    (item("k", lines=[]), 422, "validation_failed", "/orders/1/order/lines", "lines_required"),
]


@pytest.mark.parametrize(("bad", "status", "code", "pointer", "field_code"), BAD_ITEMS)
async def test_a_bad_order_is_refused_in_its_place_and_the_others_are_created(
    service: Service, bad: object, status: int, code: str, pointer: str | None, field_code: str | None
) -> None:
    answer = await service.post(BATCH, batch(item("before"), bad, item("after")))

    assert told(answer) == [(201, None), (status, code), (201, None)]
    problem = results(answer)[1]["body"]
    assert problem["status"] == status
    assert (problem["instance"], problem["request_id"]) == (BATCH, answer.headers["x-request-id"])
    if pointer is not None:
        assert (problem["errors"][0]["pointer"], problem["errors"][0]["code"]) == (pointer, field_code)
    assert answer.json()["summary"] == {"orders": 3, "created": 2, "replayed": 0, "refused": 1, "unknown": 0}
    assert await service.store.head() == 2


async def test_blanks_around_a_key_are_no_part_of_it_as_in_a_header(service: Service) -> None:
    single = await service.post(body=order_body(), key="k \t")
    answer = await service.post(BATCH, batch(item(" k\t")))

    [result] = results(answer)
    assert (result["status"], result["replayed"], result["idempotency_key"]) == (201, True, "k")
    assert result["body"] == single.json()


async def test_a_refusal_for_values_leaves_the_key_free_for_the_corrected_order(service: Service) -> None:
    await service.post(BATCH, batch(item("k", currency="eur")))

    mended = await service.post(BATCH, batch(item("k")))

    assert told(mended) == [(201, None)]


async def test_nothing_of_an_order_comes_back_in_a_problem(service: Service) -> None:
    canary = "canary7f3a9"

    answer = await service.post(
        BATCH,
        batch(
            item("a", currency=canary),
            item("b", metadata={f"<{canary}>": 1}),
            item("c", **{f"<{canary}>": 1}),
            item("d") | {f"<{canary}>": 1},
            item(f"{canary} a"),
            canary,
        ),
    )

    assert [status for status, _ in told(answer)] == [422, 422, 422, 422, 400, 422]
    assert canary.encode() not in answer.content


async def test_a_taken_reference_is_refused_for_good_with_the_bytes_of_a_single_create(service: Service) -> None:
    owner = await service.post(body=order_body(external_reference="PO-1"))

    refused = await service.post(BATCH, batch(item("k", external_reference="PO-1"), item("other")))
    alone = await service.post(body=order_body(external_reference="PO-1"), key="k")
    again = await service.post(BATCH, batch(item("k", external_reference="PO-1")))

    assert told(refused) == [(409, "duplicate_external_reference"), (201, None)]
    assert results(refused)[0]["body"]["instance"] == ORDERS
    assert results(refused)[0]["body"]["existing_order_id"] == owner.json()["id"]
    assert (alone.status_code, alone.headers["idempotency-replayed"]) == (409, "true")
    assert alone.content in refused.content
    assert alone.content in again.content
    assert results(again)[0]["replayed"] is True
    assert again.json()["summary"]["refused"] == 1
    assert await service.store.head() == 2


async def test_a_key_twice_in_a_batch_is_a_repetition_or_another_request(service: Service) -> None:
    answer = await service.post(BATCH, batch(item("k"), item("k"), item("k", currency="USD"), item("other")))

    first, second, third, _ = results(answer)
    assert told(answer) == [(201, None), (201, None), (422, "idempotency_key_mismatch"), (201, None)]
    assert [result["replayed"] for result in results(answer)] == [False, True, False, False]
    assert (second["location"], second["body"]) == (first["location"], first["body"])
    assert (third["body"]["differs"], third["body"]["existing_order_id"]) == (["body"], first["body"]["id"])
    assert await service.store.head() == 2


async def test_a_key_twice_in_a_batch_belongs_to_the_first_also_when_that_one_is_refused(service: Service) -> None:
    await service.post(ORDERS, order_body(external_reference="PO-1"))
    taken, free = item("k", external_reference="PO-1"), item("k", external_reference="PO-2")

    answer = await service.post(BATCH, batch(taken, free, taken))
    again = await service.post(BATCH, batch(free, taken))

    assert told(answer) == [
        (409, "duplicate_external_reference"),
        (422, "idempotency_key_mismatch"),
        (409, "duplicate_external_reference"),
    ]
    assert told(again) == told(answer)[1:]
    assert [result["replayed"] for result in results(answer)] == [False, False, True]


async def test_a_reference_twice_in_a_batch_belongs_to_the_first(service: Service) -> None:
    items = [item("a", external_reference="PO-1"), item("b", external_reference="PO-1"), item("c")]

    first = await service.post(BATCH, batch(*items))
    again = await service.post(BATCH, batch(*items))

    assert told(first) == told(again) == [(201, None), (409, "duplicate_external_reference"), (201, None)]
    assert [result["replayed"] for result in results(again)] == [True, True, True]


OTHER_TYPE = "The value is of another JSON type than the field takes: send "
BAD_ENVELOPES: list[tuple[object, str, str, str]] = [
    ([], "", "wrong_type", OTHER_TYPE + "an object."),
    ({}, "/orders", "required", FIELD_CODES["required"]),
    (
        {"orders": [item("k")], "mode": "fast"},
        "/mode",
        "unknown_field",
        "This request does not take the field. The object takes: orders.",
    ),
    ({"orders": {"0": item("k")}}, "/orders", "wrong_type", OTHER_TYPE + "an array."),
    ({"orders": []}, "/orders", "orders_required", FIELD_CODES["orders_required"]),
    ({"orders": [{}] * 501}, "/orders", "too_many_orders", FIELD_CODES["too_many_orders"]),
]


@pytest.mark.parametrize(("body", "pointer", "field_code", "detail"), BAD_ENVELOPES)
async def test_a_malformed_batch_is_refused_as_a_whole(
    service: Service, body: object, pointer: str, field_code: str, detail: str
) -> None:
    answer = await service.post(BATCH, body)

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["errors"] == [{"pointer": pointer, "code": field_code, "detail": detail}]


@pytest.mark.parametrize(("count", "lines_each"), [(500, 3), (20, 1000)])
async def test_others_are_served_while_a_batch_is_at_work(service: Service, count: int, lines_each: int) -> None:
    orders = batch(*(item(f"k-{number}", lines=lines(lines_each)) for number in range(count)))
    at_work = asyncio.create_task(service.post(BATCH, orders))
    await asyncio.sleep(0)

    meanwhile = await service.post(body=order_body())

    assert not at_work.done()
    assert meanwhile.status_code == 201
    assert (await at_work).json()["summary"]["created"] == count
