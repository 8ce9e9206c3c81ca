"""The client of examples/harbor_client against the running system.

A verb, a list and a request of one's own are tried with both kinds of client, for there they differ; all else once.
"""

import asyncio
import secrets
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from traceback import walk_tb
from typing import Any

import pytest

from harbor_orders_client import (
    AddLine,
    AsyncHarborOrders,
    Conflict,
    Forbidden,
    LineChange,
    LineShare,
    NewLine,
    NewOrder,
    NotFound,
    OrderStatus,
    PreconditionFailed,
    SetQuantity,
    Unauthorized,
    ValidationFailed,
    webhooks,
)
from tests.demo.stack import Stack
from tests.support.services.harbor_clients import BELL, WANTED, all_of, client_of, did, new_orders
from tests.support.services.webhooks import LoopbackReceiver
from tests.support.waiting import eventually

ABSENT = "019a8b5c-0000-7000-8000-000000000000"


async def test_an_order_is_created_authorized_and_captured_and_each_step_is_read_at_once(harbor: Any) -> None:
    lines = [BELL, NewLine("ROPE-10M", 1, Decimal("7.50"))]
    wanted = {"metadata": {"channel": "web"}, "idempotency_key": secrets.token_hex(8)}
    order = await did(harbor.orders.create, "ada@example.com", "EUR", lines, **wanted)
    assert await did(harbor.orders.create, "ada@example.com", "EUR", lines, **wanted) == order
    assert (order.status, order.total.amount, order.total.amount_minor) == ("pending", Decimal("47.48"), 4748)
    assert await did(harbor.orders.get, order.id.upper()) == order

    await did(harbor.orders.authorize, order.id)
    captured = await did(harbor.orders.capture, order.id)

    assert captured.status == OrderStatus.CAPTURED
    assert await did(harbor.orders.get, order.id) == captured
    timeline = await all_of(harbor.orders.timeline(order.id, page_size=1))
    assert [each.type for each in timeline] == ["order.created", "order.authorized", "order.captured"]
    assert [each.from_status for each in timeline] == [None, "pending", "authorized"]


async def test_an_order_is_amended_captured_in_parts_and_refunded_in_parts(awaited: AsyncHarborOrders) -> None:
    order = await awaited.orders.create(*WANTED)
    changes: list[LineChange] = [SetQuantity(1, 3), AddLine("ROPE-10M", 1, Decimal("10.03"))]
    amended = await awaited.orders.amend(order.id, changes, version=order.version)
    with pytest.raises(PreconditionFailed) as moved_on:
        await awaited.orders.update(order.id, version=order.version, metadata={"a": "b"})
    assert moved_on.value.current_version == amended.version
    await awaited.orders.update(order.id, version=amended.version, metadata={"a": "b"})
    await awaited.orders.add_note(order.id, "call before delivery")
    await awaited.orders.authorize(order.id)
    partly = await awaited.orders.capture(order.id, amount=Decimal("20.00"), final=False)
    await awaited.orders.capture(order.id, lines=[LineShare(1, 1)], final=False)
    await awaited.orders.void(order.id, reason="sold out")
    refunded = await awaited.orders.refund(order.id, amount="0.99", reason="late")
    settled = await awaited.orders.settle(
        order.id, gross="39.99", fee="0.99", net="39.00", value_date=date(2026, 11, 25), batch="2026-11"
    )

    assert (amended.total.amount, partly.status, partly.capturable.amount) == (
        Decimal(70),
        "partially_captured",
        Decimal(50),
    )
    assert (refunded.captured.amount, refunded.refunded.amount) == (Decimal("39.99"), Decimal("0.99"))
    assert (settled.status, settled.metadata) == ("settled", {"a": "b"})
    assert await awaited.orders.get(order.id) == settled
    assert [each.note for each in await all_of(awaited.orders.notes(order.id))] == ["call before delivery"]


async def test_a_status_may_be_asked_for_instead_and_a_reason_given(awaited: AsyncHarborOrders) -> None:
    order = await awaited.orders.create(*WANTED)

    authorized = await awaited.orders.set_status(order.id, OrderStatus.AUTHORIZED)
    canceled = await awaited.orders.cancel(order.id, reason="ordered twice")

    assert (authorized.status, canceled.status, canceled.cancel_reason) == ("authorized", "canceled", "ordered twice")


async def test_broken_values_are_named_by_their_pointers(awaited: AsyncHarborOrders) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await awaited.orders.create("ada@example.com", "EUR", [NewLine("BELL", 1, "1.999")])

    [error] = refused.value.errors
    assert (error.pointer, error.code) == ("/lines/0/unit_price", "currency_precision")
    assert "/lines/0/unit_price: currency_precision" in str(refused.value)


async def test_what_collides_is_named(awaited: AsyncHarborOrders) -> None:
    order = await awaited.orders.create(*WANTED, external_reference="PO-named", idempotency_key="first")

    with pytest.raises(Conflict) as taken:
        await awaited.orders.create(*WANTED, external_reference="PO-named")
    with pytest.raises(ValidationFailed) as mismatch:
        await awaited.orders.create(*WANTED, idempotency_key="first")

    assert (taken.value.code, taken.value.existing_order_id) == ("duplicate_external_reference", order.id)
    assert (mismatch.value.existing_order_id, mismatch.value.differs) == (order.id, ("body",))
    assert mismatch.value.first_used_at is not None
    assert abs(mismatch.value.first_used_at - order.created_at) < timedelta(minutes=1)


async def test_what_is_not_there_is_not_found_and_a_wrong_key_is_not_let_in(
    awaited: AsyncHarborOrders, stack: Stack
) -> None:
    for verb in (awaited.orders.get, awaited.orders.authorize, awaited.webhook_endpoints.delete):
        with pytest.raises(NotFound):
            await verb(ABSENT)
    wrong = stack.api_key[:-1] + ("a" if stack.api_key[-1] != "a" else "b")
    async with client_of(
        AsyncHarborOrders, wrong, command_url=stack.command_api, query_url=stack.query_api
    ) as stranger:
        with pytest.raises(Unauthorized) as refused:
            await stranger.orders.create(*WANTED)
    frames = [
        repr(frame.f_locals) for frame, _ in walk_tb(refused.tb) if "harbor_orders_client" in frame.f_code.co_filename
    ]
    assert len(frames) > 1
    assert not any(wrong in shown for shown in [*frames, repr(refused.value), str(refused.value), repr(stranger)])


async def test_many_orders_are_created_read_at_once_and_listed_over_more_than_three_pages(harbor: Any) -> None:
    first = await did(harbor.orders.create, *WANTED)
    made = await did(harbor.orders.create_many, new_orders(40))
    expected = [first.id, *(item.order.id for item in made)]

    found = await all_of(harbor.orders.list(created_from=first.created_at, status="pending", page_size=9))

    assert sorted(order.id for order in found) == sorted(expected)
    assert [order.created_at for order in found] == sorted((order.created_at for order in found), reverse=True)
    later = found[0].created_at + timedelta(seconds=1)
    assert await all_of(harbor.orders.list(created_from=later)) == []


async def test_more_orders_than_a_request_takes_are_sent_in_slices_and_a_broken_one_harms_no_other(
    awaited: AsyncHarborOrders,
) -> None:
    orders = new_orders(600)
    orders[3] = replace(orders[3], lines=[])
    orders[555] = replace(orders[555], metadata={f"key{number}": "x" for number in range(300)})  # json_too_complex
    orders[599] = replace(orders[0])  # the same key: the same order

    items = await awaited.orders.create_many(orders)

    assert [item.new for item in items] == orders
    assert {index: item.error.code for index, item in enumerate(items) if item.error} == {
        3: "validation_failed",
        555: "json_too_complex",
    }
    assert items[599].order == items[0].order
    assert items[599].replayed
    assert not items[0].replayed


async def test_large_orders_go_in_slices_of_what_a_body_takes(awaited: AsyncHarborOrders) -> None:
    lines = [NewLine(f"SKU-{number:056d}", 1, "1.00") for number in range(1000)]
    large = [NewOrder("ada@example.com", "EUR", lines) for _ in range(12)]  # more than 1 MiB together

    items = await awaited.orders.create_many(large)

    assert [item.error for item in items] == [None] * 12
    assert {item.order.total.amount for item in items if item.order} == {Decimal("1000.00")}


async def test_a_verb_this_client_does_not_know_is_a_request_away(harbor: Any) -> None:
    order = await did(harbor.orders.create, *WANTED)

    document = await did(harbor.request, "POST", f"/api/v1/orders/{order.id}/authorize", dict)
    read = await did(harbor.request, "GET", f"/api/v1/orders/{order.id}", type(order))

    assert (document["status"], read.status, read.version) == ("authorized", "authorized", 2)


async def test_a_real_webhook_verifies_and_its_delivery_can_be_seen_and_sent_again(awaited: AsyncHarborOrders) -> None:
    async with LoopbackReceiver() as receiver:
        endpoint = await awaited.webhook_endpoints.create(receiver.url, event_types=["order.*"])
        order = await awaited.orders.create(*WANTED)
        [received] = await receiver.wait_for(1)
        event = webhooks.verify(received.body, received.headers, endpoint.secret)
        [delivery] = await all_of(awaited.webhook_deliveries.list(endpoint_id=endpoint.id))
        seen = await _attempted(awaited, delivery.id)
        await awaited.webhook_deliveries.resend(delivery.id)
        again = (await receiver.wait_for(2))[1]
        listed = await all_of(awaited.webhook_endpoints.list())
        await awaited.webhook_endpoints.delete(endpoint.id)

    assert (event.type, event.order_id, event.order) == ("order.created", order.id, order)
    assert webhooks.verify(again.body, again.headers, endpoint.secret) == event
    assert (seen.event_id, seen.attempts[0].status) == (event.id, 204)
    assert endpoint.id in {each.id for each in listed}
    assert endpoint.secret not in repr(endpoint)


async def _attempted(awaited: AsyncHarborOrders, delivery_id: str) -> Any:
    async def found() -> Any:
        delivery = await awaited.webhook_deliveries.get(delivery_id)
        return delivery if delivery.attempts else None

    return await eventually(found)


async def test_a_key_is_created_rotated_and_revoked_and_its_history_shows_it(stack: Stack, own_key: str) -> None:
    addresses: dict[str, Any] = {"command_url": stack.command_api, "query_url": stack.query_api}
    async with client_of(AsyncHarborOrders, own_key, **addresses) as awaited:
        made = await awaited.api_keys.create(["orders:read"], label="reporting", idempotency_key="reporting")
        async with client_of(AsyncHarborOrders, made.key, **addresses) as reporting:
            with pytest.raises(Forbidden):
                await reporting.orders.create(*WANTED)
        with pytest.raises(Conflict) as made_before:
            await awaited.api_keys.create(["orders:read"], label="reporting", idempotency_key="reporting")
        revoked = await awaited.api_keys.revoke(made.id)
        own = own_key.split("_")[2]
        successor = await awaited.api_keys.rotate(own, overlap_s=3600)
        found = await awaited.api_keys.get(made.id)
        listed = await all_of(awaited.api_keys.list(page_size=1))
        events = await all_of(awaited.api_keys.events(made.id, page_size=1))

    assert made_before.value.key_id == made.id
    assert (revoked.label, revoked.scopes, revoked.status) == ("reporting", ("orders:read",), "revoked")
    assert found == revoked
    assert (successor.predecessor.id, successor.predecessor.status) == (own, "live")
    assert [each.id for each in listed] == [successor.id, made.id, own]
    assert [each.type for each in events] == ["api_key.created", "api_key.revoked"]
    assert not any(each.key in repr(each) for each in (made, successor))


async def test_an_awaited_client_serves_many_at_once(awaited: AsyncHarborOrders) -> None:
    orders = await asyncio.gather(*(awaited.orders.create(*WANTED) for _ in range(20)))
    read = await asyncio.gather(*(awaited.orders.get(order.id) for order in orders))

    assert read == orders
