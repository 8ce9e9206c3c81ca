"""What belongs to another partner or mode is answered as if it did not exist, on every route with an id in its address.

The routes come from the services; a new kind of id fails here until `plant` makes such a thing.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from infra.http.app import PUBLIC_PATHS
from tests.support.orders.builders import order_body
from tests.support.requests.route_matrix import Call, calls
from tests.support.services.command_service import Service, id_of, partner_key, postgres_service
from tests.support.services.query_service import QueryService, order_row, query_service
from tests.support.services.servers import Database

WITH_ID = [call for call in calls() if call.parameters]
LISTS = [call for call in calls() if not call.parameters and call.method == "GET"]
TIME_DEPENDENT = {"ratelimit", "x-read-lag-ms", "date", "content-length"}


@dataclass(frozen=True, slots=True)
class Planted:
    """One thing of every kind, in test mode, and the key of the partner that owns them."""

    partner_id: str
    owner: str
    ids: dict[str, str]

    def named_in(self, answer: httpx.Response) -> bool:
        """Return whether an answer names one of the things."""
        return any(each in answer.text for each in self.ids.values())


@dataclass(frozen=True, slots=True)
class Services:
    """Both services over one database."""

    command: Service
    query: QueryService
    database: Database
    keys: dict[tuple[str | None, bool], str] = field(default_factory=dict)

    def client(self, call: Call) -> httpx.AsyncClient:
        return self.command.http if call.service == "command" else self.query.http

    async def key(self, partner_id: str | None, *, livemode: bool) -> str:
        """Return the key of a stranger, always the same: a partner has two at most."""
        if (partner_id, livemode) not in self.keys:
            header = await self.query.key(partner_id, livemode=livemode)
            self.keys[partner_id, livemode] = header["authorization"].removeprefix("Bearer ")
        return self.keys[partner_id, livemode]

    async def plant(self, partner_id: str = "acme") -> Planted:
        """Make one thing of every kind; the read models get what the worker would put there."""
        owner = await partner_key(self.database, partner_id)
        login = {"authorization": f"Bearer {owner}"}
        order = await self.command.post(body=order_body(), key=partner_id, Authorization=login["authorization"])
        endpoint = await self.command.http.post(
            "/api/v1/webhook-endpoints", json={"url": "https://hooks.example.com/"}, headers=login
        )
        row = order_row(order_id=order.json()["id"], partner_id=partner_id)
        await self.query.rows.add_orders(row)
        await self.query.rows.add_events(row)
        endpoint_id = endpoint.json()["id"]
        delivery_id = await self.query.rows.add_delivery(f"{partner_id}.test", endpoint_id=endpoint_id)
        ids = {"order_id": str(row.order_id), "endpoint_id": endpoint_id, "delivery_id": str(delivery_id)}
        return Planted(partner_id, owner, ids | {"key_id": id_of(owner)})


@pytest.fixture
async def services(database: Database) -> AsyncIterator[Services]:
    async with AsyncExitStack() as stack:
        command = await stack.enter_async_context(postgres_service(database, await partner_key(database)))
        query = await stack.enter_async_context(query_service(database))
        yield Services(command, query, database)


def comparable(answer: httpx.Response, ids: Mapping[str, str]) -> tuple[Any, ...]:
    """Return the status, bytes and headers of an answer without the id that was asked for."""
    body = answer.content
    for each in ids.values():
        body = body.replace(each.encode(), b"-")
    headers = {name: value for name, value in answer.headers.items() if name not in TIME_DEPENDENT}
    return answer.status_code, body, headers


async def test_a_foreign_id_gets_the_response_of_a_missing_one(services: Services) -> None:
    for number, call in enumerate(WITH_ID):
        http, planted = services.client(call), await services.plant(f"acme{number}")
        strangers = {
            "another partner": await services.key("globex", livemode=False),
            "the same partner in the other mode": await services.key(planted.partner_id, livemode=True),
            "the installation in the other mode": await services.key(None, livemode=True),
        }
        for name, key in strangers.items():
            theirs = await call.send(http, key, planted.ids)
            missing = await call.send(http, key)

            assert comparable(theirs, planted.ids) == comparable(missing, call.unknown_ids()), (call, name)
            statuses = {404, 403} if name.startswith("the installation") else {404}
            assert theirs.status_code in statuses, (call, name)

        owners = [planted.owner, await services.key(None, livemode=False)]
        found = [(await call.send(http, key, planted.ids)).status_code for key in owners]
        assert any(status < 400 or status == 409 for status in found), (call, found)


async def test_a_list_holds_nothing_of_others(services: Services) -> None:
    planted = await services.plant()
    for call in LISTS:
        http = services.client(call)
        for partner_id, livemode in (("globex", False), ("acme", True), (None, True)):
            answer = await call.send(http, await services.key(partner_id, livemode=livemode))
            assert not planted.named_in(answer), (call, partner_id, livemode)

        assert planted.named_in(await call.send(http, planted.owner)), (call, "the owner finds it there")


async def test_public_addresses_say_nothing_of_anybody(services: Services) -> None:
    planted = await services.plant()
    for path in PUBLIC_PATHS - {"/docs/{name}", "/errors/{code}"}:
        for http in (services.command.http, services.query.http):
            answer = await http.get(path, headers={"authorization": ""})
            assert not planted.named_in(answer), path
            assert "acme.test" not in answer.text, path


async def test_nothing_that_strangers_tried_has_changed_anything(services: Services) -> None:
    planted = await services.plant()
    before = await services.command.store.head()
    for key in (await services.key("globex", livemode=False), await services.key("acme", livemode=True)):
        for call in WITH_ID:
            await call.send(services.client(call), key, planted.ids)

    admin = services.query.admin
    assert await services.command.store.head() == before
    assert await admin.fetchval("SELECT status FROM harbor.webhook_endpoints") == "enabled"
    assert await admin.fetchval("SELECT state FROM harbor.webhook_deliveries") == "pending"
    revoked = "SELECT revoked_at FROM harbor.api_keys WHERE key_id = $1"
    assert await admin.fetchval(revoked, planted.ids["key_id"]) is None
