"""Endpoints and resends through the command service's role: bounded, isolated, secrets sealed."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from command_api.webhook_endpoints.store import NewEndpoint, ResendOutcome, TooManyEndpointsError, WebhookEndpoints
from infra.security.secrets_at_rest import SecretBox
from infra.tenancy import Tenant
from tests.support.services.servers import Database
from tests.support.services.webhooks import (
    ACME,
    SECRETS_KEY,
    LoopbackReceiver,
    create_endpoint,
    dispatching,
    queue_orders,
    read_deliveries,
    verify,
    wait_for_states,
    webhook_settings,
)

WISH = NewEndpoint("https://example.com/", "desk", ("order.*",), "snapshot")
ACME_LIVE = Tenant("acme", livemode=True)


@pytest.fixture
async def endpoints(database: Database) -> AsyncIterator[WebhookEndpoints]:
    async with asyncpg.create_pool(database.command_url, min_size=1, max_size=8) as pool:
        yield WebhookEndpoints(pool, SecretBox(SECRETS_KEY), max_per_tenant=3)


async def test_the_bound_holds_against_a_race(endpoints: WebhookEndpoints) -> None:
    results = await asyncio.gather(*(endpoints.create(ACME, WISH) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(each, TooManyEndpointsError) for each in results) == 5
    assert len(await endpoints.list_page(ACME, after=None, rows=9)) == 3
    assert (await endpoints.create(ACME_LIVE, WISH)).endpoint.livemode, "the other mode has places of its own"


async def test_a_secret_is_stored_sealed_shown_once_and_forgotten_with_its_endpoint(
    endpoints: WebhookEndpoints, database: Database
) -> None:
    created = await endpoints.create(ACME, WISH)
    assert created.secret not in repr(created)
    [row] = await database.fetch("SELECT * FROM harbor.webhook_endpoints")
    assert created.secret.removeprefix("whsec_") not in str(dict(row))
    assert row["sealed_secret"] is not None
    await endpoints.delete(ACME, created.endpoint.endpoint_id)
    [row] = await database.fetch("SELECT sealed_secret, status FROM harbor.webhook_endpoints")
    assert tuple(row) == (None, "deleted")


async def test_a_dead_or_delivered_webhook_can_be_sent_again_with_the_same_id_and_bytes(
    endpoints: WebhookEndpoints, database: Database
) -> None:
    async with LoopbackReceiver() as receiver:
        created = await create_endpoint(database, receiver.url)
        await queue_orders(database, 1)
        async with dispatching(database, webhook_settings(connect_timeout_s=40.0, total_timeout_s=40.0)):
            await wait_for_states(database, {"delivered": 1})
            [delivery] = await read_deliveries(database)
            for attempt in (2, 3):
                assert await endpoints.resend(ACME, delivery["delivery_id"]) is ResendOutcome.QUEUED
                await receiver.wait_for(attempt)
                await wait_for_states(database, {"delivered": 1})
    assert len({(each.webhook_id, each.body) for each in receiver.received}) == 1
    assert [each.headers["webhook-attempt"] for each in receiver.received] == ["1", "2", "3"]
    for each in receiver.received:
        verify(each, created.secret)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("command", "UPDATE harbor.webhook_deliveries SET state = 'delivered'"),
        ("command", "SELECT body FROM harbor.webhook_bodies"),
        ("command", "UPDATE harbor.webhook_endpoints SET url = 'https://evil.example/'"),
        ("command", "DELETE FROM harbor.webhook_endpoints"),
        ("worker", "INSERT INTO harbor.webhook_endpoints (endpoint_id) VALUES (gen_random_uuid())"),
        ("worker", "UPDATE harbor.webhook_endpoints SET sealed_secret = NULL"),
        ("worker", "DELETE FROM harbor.webhook_attempts"),
        ("worker", "UPDATE harbor.webhook_bodies SET body = ''"),
        ("query", "SELECT sealed_secret FROM harbor.webhook_endpoints"),
        ("query", "SELECT body FROM harbor.webhook_bodies"),
        ("query", "UPDATE harbor.webhook_deliveries SET state = 'pending'"),
        ("query", "SELECT harbor.webhook_resend('acme.test', gen_random_uuid())"),
    ],
)
async def test_each_role_may_do_only_its_part(database: Database, role: str, statement: str) -> None:
    urls = {"command": database.command_url, "worker": database.worker_url, "query": database.query_url}
    connection = await asyncpg.connect(urls[role])
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()
