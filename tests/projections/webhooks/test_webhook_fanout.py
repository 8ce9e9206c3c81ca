"""Fan-out: one delivery per (event, endpoint), only to its own tenant, nothing from before the registration."""

import json
from datetime import UTC, datetime

import pytest

from infra.tenancy import Tenant
from projections.webhooks.body import MAX_BODY_BYTES, EventHead, render_snapshot, render_thin
from tests.support.event_store.log_filler import fill_log
from tests.support.services.servers import Database
from tests.support.services.webhooks import ACME, create_endpoint, fan_out, queue_orders, read_deliveries

URL = "https://example.com/"
OTHER = Tenant("other", livemode=False)
ACME_LIVE = Tenant("acme", livemode=True)


async def test_an_event_becomes_one_delivery_per_endpoint_however_often_it_is_applied(database: Database) -> None:
    await create_endpoint(database, URL)
    await create_endpoint(database, URL, payload="thin")
    filtered = await create_endpoint(database, URL, event_types=("order.captured", "invoice.*"))
    await queue_orders(database, 3, "authorize", "capture")
    await fan_out(database)
    await fan_out(database)
    deliveries = await read_deliveries(database)
    assert len({(row["endpoint_id"], row["event_id"]) for row in deliveries}) == len(deliveries) == 3 * 3 * 2 + 3
    chosen = [row["event_type"] for row in deliveries if row["endpoint_id"] == filtered.endpoint.endpoint_id]
    assert chosen == ["order.captured"] * 3


async def test_events_from_before_the_registration_are_not_sent(database: Database) -> None:
    [early] = await fill_log(database.command_url, 1)
    await create_endpoint(database, URL)
    [late] = await fill_log(database.command_url, 1)
    await fan_out(database)
    assert [row["order_id"] for row in await read_deliveries(database)] == [late]
    assert early != late


async def test_a_tenant_gets_its_own_events_only(database: Database) -> None:
    for tenant in (ACME, OTHER, ACME_LIVE):
        await create_endpoint(database, URL, tenant=tenant)
    orders = {tenant.id: await fill_log(database.command_url, 1, tenant_id=tenant.id) for tenant in (ACME, OTHER)}
    await fan_out(database)
    deliveries = await read_deliveries(database)
    assert {row["tenant_id"]: [row["order_id"]] for row in deliveries} == orders
    assert all(row["body"].count(str(orders[row["tenant_id"]][0]).encode()) > 0 for row in deliveries)


async def test_a_disabled_endpoint_keeps_queueing_and_a_deleted_one_does_not(database: Database) -> None:
    kept = await create_endpoint(database, URL)
    await database.fetch("UPDATE harbor.webhook_endpoints SET status = 'disabled'")
    gone = await create_endpoint(database, URL)
    deleted = "UPDATE harbor.webhook_endpoints SET status = 'deleted', sealed_secret = NULL WHERE endpoint_id = $1"
    await database.fetch(deleted, gone.endpoint.endpoint_id)
    await queue_orders(database, 1)
    assert [row["endpoint_id"] for row in await read_deliveries(database)] == [kept.endpoint.endpoint_id]


async def test_a_snapshot_shows_the_order_after_the_event_and_what_changed(database: Database) -> None:
    await create_endpoint(database, URL)
    [order_id] = await queue_orders(database, 1, "authorize")
    created, authorized = [json.loads(row["body"]) for row in await read_deliveries(database)]
    assert list(authorized) == [
        "id", "type", "timestamp", "api_version", "livemode", "sequence", "order_id", "data", "request_id",
    ]  # fmt: skip
    facts = [authorized[name] for name in ("type", "sequence", "order_id", "livemode")]
    assert facts == ["order.authorized", 2, str(order_id), False]
    assert datetime.fromisoformat(authorized["timestamp"]).tzinfo == UTC
    before, after = created["data"], authorized["data"]
    assert (before["previous"], before["object"]["status"], after["object"]["status"]) == ({}, "pending", "authorized")
    assert (after["previous"]["status"], after["previous"]["version"]) == ("pending", 1)
    assert not {"id", "currency", "total", "lines", "created_at"} & set(after["previous"]), "what did not change"


async def test_a_batch_that_starts_in_the_middle_of_an_order_knows_what_came_before(database: Database) -> None:
    await create_endpoint(database, URL)
    await fill_log(database.command_url, 1, "authorize", "capture")
    await fan_out(database, after_position=2)
    [captured] = await read_deliveries(database)
    document = json.loads(captured["body"])
    assert document["data"]["object"]["status"] == "captured"
    assert document["data"]["previous"]["status"] == "authorized"


async def test_a_thin_body_names_the_order_and_its_version(database: Database) -> None:
    await create_endpoint(database, URL, payload="thin")
    [order_id] = await queue_orders(database, 1)
    [row] = await read_deliveries(database)
    document = json.loads(row["body"])
    assert document["data"]["object"] == {"id": str(order_id), "object": "order", "version": 1}
    assert set(document["data"]) == {"change", "object"}
    assert "buyer@example.com" not in row["body"].decode()
    assert "truncated" not in document


@pytest.mark.parametrize("payload", ["snapshot", "thin"])
async def test_a_body_says_what_happened_so_that_it_can_be_booked_without_asking_back(
    database: Database, payload: str
) -> None:
    await create_endpoint(database, URL, payload=payload)
    await queue_orders(database, 1, "authorize", "capture", "refund_some", "note")
    changes = {row["event_type"]: json.loads(row["body"])["data"]["change"] for row in await read_deliveries(database)}

    assert changes["order.captured"]["amount"]["amount"] == "64.97"
    assert changes["order.refunded"]["amount"] == {"amount": "5.00", "amount_minor": 500, "currency": "EUR"}
    assert changes["order.refunded"]["totals"]["refunded"]["amount_minor"] == 500
    assert changes["order.note_added"]["visibility"] == "partner"
    assert "call before delivery" not in str(changes)


@pytest.mark.parametrize(
    ("lines", "reason", "kept", "truncated"),
    [
        (1_000, 10, ("change", "object", "previous"), False),
        (MAX_BODY_BYTES, 10, ("change", "object"), True),
        (MAX_BODY_BYTES, MAX_BODY_BYTES, ("object",), True),
    ],
    ids=["as it is", "without the order", "without the change either"],
)
def test_a_body_that_would_exceed_64_kib_leaves_out_what_does_not_fit_and_says_so(
    lines: int, reason: int, kept: tuple[str, ...], truncated: bool
) -> None:
    head = EventHead("e1", "order.amended", "2026-11-23T01:02:03.123456Z", False, 2, "o1", None)
    after = json.dumps({"id": "o1", "lines": "x" * lines}).encode()
    change = {"reason": "y" * reason}

    body = render_snapshot(head, change, after, b"{}")
    document = json.loads(body)

    assert len(body) <= MAX_BODY_BYTES
    assert document.get("truncated", False) is truncated
    assert tuple(name for name, value in document["data"].items() if value is not None) == kept
    assert ("lines" in document["data"]["object"]) is not truncated
    thin = json.loads(render_thin(head, change))
    assert (thin["data"]["change"] is None) is thin.get("truncated", False) is ("change" not in kept)
