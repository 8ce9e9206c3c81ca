"""From the queue to the receiver: signed, repeated on failure with the same bytes, never lost, always visible."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from standardwebhooks import WebhookVerificationError

from infra.settings import WebhookSettings
from infra.tenancy import Tenant
from tests.support.services.servers import Database
from tests.support.services.webhooks import (
    LoopbackReceiver,
    create_endpoint,
    dispatching,
    queue_orders,
    verify,
    wait_for_states,
    webhook_settings,
)

WAITS_S = 40.0
ATTEMPTS = "SELECT attempt, outcome, status, response_body FROM harbor.webhook_attempts ORDER BY attempt_id"


def unhurried(**overrides: object) -> WebhookSettings:
    """Return settings by which an attempt fails for its response, and not because the machine stalled."""
    return webhook_settings(connect_timeout_s=WAITS_S, total_timeout_s=WAITS_S, **overrides)


def responding(status: int, **headers: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def respond(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    return respond


async def test_a_webhook_is_signed_so_that_the_official_package_verifies_it(database: Database) -> None:
    async with LoopbackReceiver() as receiver:
        created = await create_endpoint(database, receiver.url)
        [order_id] = await queue_orders(database, 1)
        async with dispatching(database, unhurried()):
            [received] = await receiver.wait_for(1)
            await wait_for_states(database, {"delivered": 1})
    verify(received, created.secret)
    document = json.loads(received.body)
    assert document["id"] == received.webhook_id
    assert document["data"]["object"]["id"] == document["order_id"] == str(order_id)
    assert received.headers["webhook-attempt"] == "1"
    assert received.headers["webhook-sequence"] == "1"
    assert received.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        verify(received, "whsec_" + "A" * 43 + "=")


async def test_a_500_is_tried_again_with_the_same_id_and_bytes_until_it_succeeds(database: Database) -> None:
    statuses = iter([500, 503, 204])

    async def respond(_request: web.Request) -> web.Response:
        return web.Response(status=next(statuses), body=b"x" * 10_000)

    async with LoopbackReceiver(respond) as receiver:
        created = await create_endpoint(database, receiver.url)
        await queue_orders(database, 1)
        async with dispatching(database, unhurried()):
            received = list(await receiver.wait_for(3))
            await wait_for_states(database, {"delivered": 1})
    assert len({(each.webhook_id, each.body) for each in received}) == 1
    assert [each.headers["webhook-attempt"] for each in received] == ["1", "2", "3"]
    for each in received:
        verify(each, created.secret)
    assert [tuple(row) for row in await database.fetch(ATTEMPTS)] == [
        (1, "server_error", 500, b"x" * 4096),
        (2, "server_error", 503, b"x" * 4096),
        (3, "delivered", 204, b""),
    ]


async def test_the_schedule_and_retry_after_decide_when_the_next_attempt_is_due(database: Database) -> None:
    async with LoopbackReceiver(responding(429, **{"Retry-After": "100"})) as receiver:
        await create_endpoint(database, receiver.url)
        await queue_orders(database, 1)
        async with dispatching(database, unhurried(schedule_scale=1.0)):
            await receiver.wait_for(1)
            await wait_for_states(database, {"pending": 1})
    [row] = await database.fetch(
        "SELECT last_outcome, extract(epoch FROM next_attempt_at - last_attempt_at)::float8 AS wait_s "
        "FROM harbor.webhook_deliveries"
    )
    assert row["last_outcome"] == "rate_limited"
    assert 99 <= row["wait_s"] <= 100 + WAITS_S, "so long after the attempt's end, which may have taken its time"


async def test_thirteen_failures_make_a_dead_letter_that_stays_visible(database: Database) -> None:
    async with LoopbackReceiver(responding(404)) as receiver:
        await create_endpoint(database, receiver.url)
        await queue_orders(database, 1)
        async with dispatching(database, unhurried(schedule_scale=0.000_001)):
            await wait_for_states(database, {"dead": 1}, timeout_s=20)
    assert len(receiver.received) == 13
    rows = await database.fetch("SELECT attempt_count, last_outcome, last_status FROM harbor.webhook_deliveries")
    assert [tuple(row) for row in rows] == [(13, "rejected", 404)]


async def test_410_disables_the_endpoint_at_once_and_the_rest_stays_queued(database: Database) -> None:
    async with LoopbackReceiver(responding(410)) as receiver:
        await create_endpoint(database, receiver.url)
        await queue_orders(database, 3)
        async with dispatching(database, unhurried(max_in_flight_per_endpoint=1)):
            await wait_for_states(database, {"dead": 1, "pending": 2})
    assert len(receiver.received) == 1
    [row] = await database.fetch("SELECT status, status_reason FROM harbor.webhook_endpoints")
    assert tuple(row) == ("disabled", "the endpoint responded with 410 Gone")


async def test_a_blocked_address_is_not_tried_again_and_marks_the_endpoint(database: Database) -> None:
    await create_endpoint(database, "https://127.0.0.1/")
    await queue_orders(database, 1)
    async with dispatching(database, unhurried(allow_networks=())):
        await wait_for_states(database, {"dead": 1})
    [row] = await database.fetch("SELECT status FROM harbor.webhook_endpoints")
    assert row["status"] == "misconfigured"
    assert [tuple(row) for row in await database.fetch(ATTEMPTS)] == [(1, "blocked", None, b"")]


async def test_a_redirect_to_loopback_is_a_failure_and_not_followed(database: Database) -> None:
    async with LoopbackReceiver() as inside, LoopbackReceiver(responding(307, Location=inside.url)) as receiver:
        await create_endpoint(database, receiver.url)
        await queue_orders(database, 1)
        async with dispatching(database, unhurried(schedule_scale=1.0)):
            await receiver.wait_for(1)
            await wait_for_states(database, {"pending": 1})
    assert inside.received == []
    assert [tuple(row) for row in await database.fetch(ATTEMPTS)] == [(1, "redirected", 307, b"")]


async def test_what_is_queued_for_a_deleted_endpoint_is_discarded(database: Database) -> None:
    async with LoopbackReceiver() as receiver:
        await create_endpoint(database, receiver.url)
        await queue_orders(database, 3)
        await database.fetch("UPDATE harbor.webhook_endpoints SET status = 'deleted', sealed_secret = NULL")
        async with dispatching(database, unhurried()):
            await wait_for_states(database, {"discarded": 3})
    assert receiver.received == []


async def test_a_dead_endpoint_delays_nobody_else(database: Database) -> None:
    never = asyncio.Event()

    async def silence(_request: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    other = Tenant("other", livemode=False)
    held: list[int] = []

    async def note(_request: web.Request) -> web.Response:
        held.append(len(dead.received))
        return web.Response(status=204)

    async with LoopbackReceiver(silence) as dead, LoopbackReceiver(note) as good:
        await create_endpoint(database, dead.url)
        await create_endpoint(database, good.url, tenant=other)
        await queue_orders(database, 200)
        await queue_orders(database, 100, tenant=other)
        async with dispatching(database, unhurried(max_in_flight=20, max_in_flight_per_endpoint=20)):
            await good.wait_for(100, timeout_s=WAITS_S - 10.0)  # before the first attempt at the dead one has ended
            never.set()
    # With 20 places, others still wait while the first 60 are made; when nobody waits, the dead one may have them all.
    assert max(held[:60]) <= 2


async def test_two_dispatchers_share_the_queue_and_send_nothing_twice(database: Database) -> None:
    async with LoopbackReceiver() as receiver:
        await create_endpoint(database, receiver.url)
        await queue_orders(database, 200)
        async with dispatching(database, unhurried()), dispatching(database, unhurried()):
            await wait_for_states(database, {"delivered": 200})
    assert len({each.webhook_id for each in receiver.received}) == len(receiver.received) == 200


async def test_an_open_breaker_burns_no_attempts(database: Database) -> None:
    async with LoopbackReceiver(responding(500)) as receiver:
        await create_endpoint(database, receiver.url)
        await queue_orders(database, 20)
        async with dispatching(database, unhurried(schedule_scale=1.0, max_in_flight_per_endpoint=1)):
            await wait_for_states(database, {"pending": 20})
            await receiver.wait_for(5)
    assert len(receiver.received) == 5
    rows = await database.fetch("SELECT sum(attempt_count)::int AS made FROM harbor.webhook_deliveries")
    assert rows[0]["made"] == 5
