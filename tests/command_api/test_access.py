"""Who may do what: scopes, tenants and modes. A foreign order is the same as none."""

import re

import pytest
from fastapi.routing import APIRoute

from infra.http.app import PUBLIC_PATHS
from infra.http.auth import required_scope
from infra.security.api_keys import PARTNER_SCOPES
from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, Service

UNKNOWN = "019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"
PAYOUT = {"gross": "10.00", "fee": "0.20", "net": "9.80", "value_date": "2026-11-25"}
SEEN = {"If_Match": '"1"'}
"""What somebody who edits an order has seen; the other routes do not ask."""
COMMANDS: list[tuple[str, str, object, str]] = [
    ("POST", "", order_body(), "orders:write"),
    ("POST", "/batch", {"orders": [{"idempotency_key": "k", "order": order_body()}]}, "orders:write"),
    ("POST", "/{id}/authorize", {}, "orders:authorize"),
    ("POST", "/{id}/captures", {}, "orders:capture"),
    ("POST", "/{id}/cancel", {}, "orders:cancel"),
    ("POST", "/{id}/void", {}, "orders:capture"),
    ("POST", "/{id}/refunds", {}, "orders:refund"),
    ("POST", "/{id}/settlements", PAYOUT, "settlements:write"),
    ("POST", "/{id}/amendments", {"changes": [{"op": "set_quantity", "line_id": 1, "quantity": 2}]}, "orders:write"),
    ("PATCH", "/{id}", {"metadata": {"a": "b"}}, "orders:write"),
    ("POST", "/{id}/notes", {"note": "call before delivery"}, "orders:write"),
    ("PATCH", "/{id}/status", {"status": "authorized"}, "orders:authorize"),
    ("PATCH", "/{id}/status", {"status": "captured"}, "orders:capture"),
    ("PATCH", "/{id}/status", {"status": "canceled"}, "orders:cancel"),
    ("PATCH", "/{id}/status", {"status": "settled"}, "settlements:write"),
]


async def test_every_route_declares_its_scope_or_is_public_on_purpose(service: Service) -> None:
    undeclared = {
        getattr(route, "path", repr(route))
        for route in service.app.routes
        if not (isinstance(route, APIRoute) and required_scope(route).scopes)
    }

    assert undeclared <= PUBLIC_PATHS


@pytest.mark.parametrize(("method", "path", "body", "scope"), COMMANDS)
async def test_a_key_without_the_scope_is_refused_and_one_with_only_that_scope_may(
    service: Service, method: str, path: str, body: object, scope: str
) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]
    address = ORDERS + path.format(id=order_id)
    without, only = service.keys.issue(scopes=PARTNER_SCOPES - {scope}), service.keys.issue(scopes={scope})

    refused = await service.send(method, address, body, Authorization=f"Bearer {without}", **SEEN)
    allowed = await service.send(method, address, body, Authorization=f"Bearer {only}", **SEEN)

    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert allowed.status_code in {200, 201, 207, 409}


@pytest.mark.parametrize(("method", "path", "body", "_scope"), COMMANDS[2:])
async def test_the_order_of_another_partner_or_mode_is_not_found_by_identical_bytes(
    service: Service, method: str, path: str, body: object, _scope: str
) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]
    strangers = [service.keys.issue("other"), service.keys.issue("acme", livemode=True)]

    for stranger in strangers:
        foreign, missing = [
            await service.send(
                method, ORDERS + path.format(id=id_), body, Authorization=f"Bearer {stranger}", X_Request_ID="r", **SEEN
            )
            for id_ in (order_id, UNKNOWN)
        ]
        assert foreign.status_code == missing.status_code == 404
        assert foreign.content.replace(order_id.encode(), UNKNOWN.encode()) == missing.content
        assert dict(foreign.headers) == dict(missing.headers)
    assert await service.store.head() == 1


async def test_a_key_of_the_installation_cannot_write(service: Service) -> None:
    dashboard = service.keys.issue(None, scopes={"dashboard:read"})

    answer = await service.post(body=order_body(), Authorization=f"Bearer {dashboard}")

    assert answer.status_code == 403


async def test_two_credentials_are_refused_and_either_alone_works(service: Service) -> None:
    key = service.keys.issue()

    both = await service.post(body=order_body(), X_API_Key=key)
    del service.http.headers["authorization"]
    alone = await service.post(body=order_body(), X_API_Key=key)

    assert (both.status_code, both.json()["code"]) == (400, "credentials_ambiguous")
    assert alone.status_code == 201


async def test_a_key_in_the_address_does_not_count(service: Service) -> None:
    key = service.keys.issue()
    del service.http.headers["authorization"]

    answer = await service.post(f"{ORDERS}?api_key={key}", order_body())

    assert (answer.status_code, answer.json()["code"]) == (401, "api_key_missing")
    assert not re.search(key.encode(), answer.content)
