"""A partner has two base addresses: whatever leads from one service to the other arrives."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
import pytest

from infra.http.addresses import ServiceAddress
from infra.http.addresses.elsewhere import Elsewhere
from infra.security.api_keys import PARTNER_SCOPES
from infra.settings import PublicSettings
from tests.support.orders.builders import order_body
from tests.support.requests.refused_queries import BAD_DELIVERY_LISTS, BAD_LISTS
from tests.support.requests.route_matrix import UNKNOWN_UUID, Call, calls, without_database
from tests.support.services.command_service import BATCH, ORDERS, memory_service, partner_key, postgres_service
from tests.support.services.projecting import caught_up, store_worker
from tests.support.services.query_service import query_service
from tests.support.services.servers import Database

ORDER = f"{ORDERS}/{UNKNOWN_UUID}"
ALLOWED = "The Allow header lists the methods of this address."
NOTHING = "There is nothing here; / shows what there is."
PUBLIC = PublicSettings(command_url="http://commands.test", query_url="http://queries.test")


def detail_of(answer: httpx.Response) -> str:
    refused = {405: "method_not_allowed", 404: "not_found"}
    assert answer.json()["code"] == refused[answer.status_code]
    return str(answer.json()["detail"])


def sent(call: Call) -> tuple[str, str]:
    return call.method, re.sub(r"{\w+}", UNKNOWN_UUID, call.path)


async def test_a_request_to_the_wrong_service_names_the_right_one_and_its_route(database: Database) -> None:
    async with memory_service(public=PUBLIC) as command, query_service(database) as query:
        shared = {(call.method, call.path) for call in calls() if call.service == "command"}
        for call in calls():
            client, where = (command.http, " at http://queries.test") if call.service == "query" else (query.http, "")
            if call.service == "query" and (call.method, call.path) in shared:
                continue
            detail = detail_of(await client.request(*sent(call)))

            assert detail.endswith(f" The {call.service} service takes {call.method} {call.path}{where}."), str(call)
            assert detail.startswith((ALLOWED, NOTHING))


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", f"{ORDER}/amendments", ALLOWED),
        ("PUT", ORDER, ALLOWED),
        ("DELETE", ORDER, ALLOWED),
        ("POST", "/api/v1/webhook-deliveries", NOTHING),
        ("GET", "/api/v1/made-up", NOTHING),
    ],
)
async def test_what_neither_service_takes_leads_nowhere(method: str, path: str, detail: str) -> None:
    async with memory_service(public=PUBLIC) as service:
        assert detail_of(await service.http.request(method, path)) == detail


def test_a_read_of_the_head_alone_is_a_read_and_a_fixed_address_is_no_parameter() -> None:
    query, command = Elsewhere(ServiceAddress("query")), Elsewhere(ServiceAddress("command"))

    assert query.hint("HEAD", ORDER) == "The query service takes GET /api/v1/orders/{order_id}."
    assert command.hint("POST", BATCH) == "The command service takes POST /api/v1/orders/batch."
    assert command.hint("PATCH", BATCH) is None
    assert query.hint("GET", BATCH) is None, "it is no order at the query service"


async def test_behind_one_address_the_type_of_every_problem_leads_to_its_page() -> None:
    """The proxy that docs/guides/operators.md describes: reads of orders and deliveries go to the query service."""
    async with without_database("command") as (command, command_keys), without_database("query") as (query, query_keys):
        keys = {command: f"Bearer {command_keys.issue()}", query: f"Bearer {query_keys.issue()}"}

        async def get(address: str, headers: Mapping[str, str]) -> httpx.Response:
            client = query if address.startswith((ORDERS, "/api/v1/webhook-deliveries")) else command
            return await client.get(address, headers={"authorization": keys[client], **headers})

        refused = [
            await get(f"{ORDER}?x=1", {}),
            await get(ORDERS, {}),
            await get(ORDERS, {"consistency-token": "x"}),
            *[await get(f"{ORDERS}?{query}", {}) for query in BAD_LISTS],
            *[await get(f"/api/v1/webhook-deliveries?{query}", {}) for query in BAD_DELIVERY_LISTS],
            *[await get(f"/api/v1/api-keys?{query}", {}) for query in BAD_LISTS],
        ]
        types = {answer.json()["type"] for answer in refused}
        inside = {f"/errors/{each['code']}" for answer in refused for each in answer.json().get("errors", ())}
        missing = {address for address in types | inside if (await get(address, {})).status_code != 200}

    assert {"/errors/consistency_token_invalid", "/errors/validation_failed", "/errors/store_unavailable"} <= types
    assert {"/errors/limit_invalid", "/errors/parameter_unknown", "/errors/status_invalid"} <= inside
    assert not missing


async def test_every_location_shows_what_was_created(database: Database) -> None:
    key = await partner_key(database, scopes=PARTNER_SCOPES)
    async with (
        postgres_service(database, key, public=PUBLIC) as command,
        query_service(database) as query,
        store_worker(database),
    ):
        clients = {"": command.http, "commands.test": command.http, "queries.test": query.http}
        batch = {"orders": [{"idempotency_key": "b-1", "order": order_body()}]}
        [made] = (await command.post(BATCH, batch)).json()["results"]
        created = [
            await command.post(ORDERS, order_body()),
            await command.post("/api/v1/webhook-endpoints", {"url": "https://hooks.example.com/orders"}),
            await command.post("/api/v1/api-keys", {"label": "reports", "scopes": ["orders:read"]}),
        ]
        locations = {made["location"]: made["body"]["id"]}
        locations |= {answer.headers["location"]: answer.json()["id"] for answer in created}
        await caught_up(database)

        for location, its_id in locations.items():
            parts = urlsplit(location)
            shown = await clients[parts.netloc].get(parts.path, headers={"authorization": f"Bearer {key}"})
            assert (shown.status_code, shown.json().get("id")) == (200, its_id), location

    assert len(locations) == 4
