"""Setting a status needs the scope of the verb it stands for. test_route_matrix.py proves the scopes of routes."""

import pytest

from infra.security.api_keys import PARTNER_SCOPES
from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, Service


@pytest.mark.parametrize(
    ("status", "scope"),
    [
        ("authorized", "orders:authorize"),
        ("captured", "orders:capture"),
        ("canceled", "orders:cancel"),
        ("settled", "settlements:write"),
    ],
)
async def test_setting_a_status_needs_the_scope_of_its_verb_and_no_other(
    service: Service, status: str, scope: str
) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]
    keys = [service.keys.issue(scopes=scopes) for scopes in (PARTNER_SCOPES - {scope}, {scope})]

    refused, allowed = [
        await service.send("PATCH", f"{ORDERS}/{order_id}/status", {"status": status}, Authorization=f"Bearer {key}")
        for key in keys
    ]

    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert allowed.status_code in {200, 409}
