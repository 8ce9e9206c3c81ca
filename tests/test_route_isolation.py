"""Another partner's, another mode's: for every route with an id in its address the answer is that of a missing one.

The routes come from the services; a new kind of id makes this suite fail until it is told how to make such a thing.
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
from tests.support.services.command_service import Service, partner_key, postgres_service
from tests.support.services.query_service import OrderRow, QueryService, order_row, query_service
from tests.support.services.servers import Database

CALLS = calls()
WITH_ID = [call for call in CALLS if call.parameters]
LISTS = [call for call in CALLS if not call.parameters and call.method == "GET"]
TIME_DEPENDENT = {"ratelimit", "x-read-lag-ms", "date"}


@dataclass(frozen=True, slots=True)
class Planted:
    """Both services over one database, and one thing of every kind that belongs to partner acme in test mode."""

    command: Service
    query: QueryService
    owner: str
    ids: dict[str, str] = field(default_factory=dict)

    def client(self, call: Call) -> httpx.AsyncClient:
        return self.command.http if call.service == "command" else self.query.http

    async def key(self, partner_id: str | None, *, livemode: bool) -> str:
        return (await self.query.key(partner_id, livemode=livemode))["authorization"].removeprefix("Bearer ")


async def plant(planted: Planted) -> None:
    """Make one thing of every kind; the read models get what the worker would put there."""
    order_id = (await planted.command.post(body=order_body())).json()["id"]
    row: OrderRow = order_row(order_id=order_id)
    await planted.query.rows.add_orders(row)
    await planted.query.rows.add_events(row)
    endpoint = await planted.command.http.post("/api/v1/webhook-endpoints", json={"url": "https://hooks.example.com/"})
    delivery_id = await planted.query.rows.add_delivery("acme.test", endpoint_id=endpoint.json()["id"])
    planted.ids.update(
        order_id=order_id,
        endpoint_id=endpoint.json()["id"],
        delivery_id=str(delivery_id),
        key_id=planted.owner.split("_")[2],
    )


@pytest.fixture
async def planted(database: Database) -> AsyncIterator[Planted]:
    async with AsyncExitStack() as stack:
        owner = await partner_key(database)
        command = await stack.enter_async_context(postgres_service(database, owner))
        query = await stack.enter_async_context(query_service(database))
        made = Planted(command, query, owner)
        await plant(made)
        yield made


def comparable(answer: httpx.Response, ids: Mapping[str, str]) -> tuple[Any, ...]:
    """Return the bytes and headers of an answer, with the id that was asked for cut out: it is the asker's own word."""
    body = answer.content
    for each in ids.values():
        body = body.replace(each.encode(), b"-")
    headers = {name: value for name, value in answer.headers.items() if name not in TIME_DEPENDENT | {"content-length"}}
    return answer.status_code, body, headers


@pytest.mark.parametrize("call", WITH_ID, ids=str)
async def test_what_belongs_to_others_answers_as_if_it_were_not_there(planted: Planted, call: Call) -> None:
    missing_ids = call.unknown_ids()
    http = planted.client(call)
    strangers = {
        "another partner": await planted.key("globex", livemode=False),
        "the same partner in the other mode": await planted.key("acme", livemode=True),
        "the installation in the other mode": await planted.key(None, livemode=True),
    }
    for name, key in strangers.items():
        theirs = await call.send(http, key, planted.ids)
        missing = await call.send(http, key)

        assert comparable(theirs, planted.ids) == comparable(missing, missing_ids), name
        assert theirs.status_code == 404 or (name.startswith("the installation") and theirs.status_code == 403), name

    owners = [await call.send(http, planted.owner, planted.ids)]
    owners.append(await call.send(http, await planted.key(None, livemode=False), planted.ids))
    assert any(answer.status_code < 400 or answer.status_code == 409 for answer in owners), owners[0].text


@pytest.mark.parametrize("call", LISTS, ids=str)
async def test_a_list_holds_nothing_of_others(planted: Planted, call: Call) -> None:
    http = planted.client(call)
    for partner_id, livemode in (("globex", False), ("acme", True), (None, True)):
        answer = await call.send(http, await planted.key(partner_id, livemode=livemode))
        assert not any(each in answer.text for each in planted.ids.values()), (partner_id, livemode)

    own = await call.send(http, planted.owner)
    assert any(each in own.text for each in planted.ids.values()), "the owner finds it there"


@pytest.mark.parametrize("path", sorted(PUBLIC_PATHS - {"/docs/{name}"}))
async def test_public_addresses_tell_nothing_of_anybody(planted: Planted, path: str) -> None:
    for http in (planted.command.http, planted.query.http):
        answer = await http.get(path, headers={"authorization": ""})
        assert not any(each in answer.text for each in planted.ids.values())
        assert "acme.test" not in answer.text


async def test_nothing_that_strangers_tried_has_changed_anything(planted: Planted) -> None:
    before = await planted.command.store.head()
    for key in (await planted.key("globex", livemode=False), await planted.key("acme", livemode=True)):
        for call in WITH_ID:
            await call.send(planted.client(call), key, planted.ids)

    admin = planted.query.admin
    assert await planted.command.store.head() == before
    assert await admin.fetchval("SELECT status FROM harbor.webhook_endpoints") == "enabled"
    assert await admin.fetchval("SELECT state FROM harbor.webhook_deliveries") == "pending"
    assert (
        await admin.fetchval("SELECT revoked_at FROM harbor.api_keys WHERE key_id = $1", planted.ids["key_id"]) is None
    )
