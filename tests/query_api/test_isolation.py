"""Nobody learns of another partner's data: canaries in every row, every byte that leaves is searched.

That a foreign id gets the very response of a missing one is for tests/test_route_isolation.py, which knows every route.
"""

from dataclasses import dataclass
from uuid import UUID

import pytest

from infra import clock
from infra.http.auth import Principal
from infra.http.problems import Problem
from infra.security.api_keys import INSTALLATION_SCOPES
from query_api.visibility import visibility_of, visible
from query_api.webhooks.queries import deliveries
from tests.support.services.query_service import DELIVERIES, ORDERS, QueryService, order_row

CANARY = "canary-of-globex"


@dataclass(frozen=True, slots=True)
class Planted:
    """The service, and ids that belong to globex (test mode) or to acme's live mode."""

    service: QueryService
    orders: tuple[UUID, UUID]
    deliveries: tuple[UUID, UUID]
    endpoint: UUID
    foreign_cursor: str


@pytest.fixture
async def planted(service: QueryService) -> Planted:
    rows = [
        order_row(number, partner_id=partner, livemode=livemode, external_reference=CANARY, note=CANARY)
        for partner, livemode in (("globex", False), ("acme", True))
        for number in range(3)
    ]
    own, endpoint = order_row(9), clock.new_id()
    await service.rows.add_orders(*rows, own)
    for row in (*rows, own):
        await service.rows.add_events(row, 3)
    planted = (
        await service.rows.add_delivery("globex.test", note=CANARY, endpoint_id=endpoint),
        await service.rows.add_delivery("acme.live", note=CANARY),
    )
    foreign = await service.get(f"{ORDERS}?limit=1", await service.key("globex"))
    return Planted(service, (rows[0].order_id, rows[3].order_id), planted, endpoint, foreign.json()["next_cursor"])


async def test_no_response_or_log_line_to_a_partner_holds_a_byte_of_another(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    key = await planted.service.key("acme")
    paths = [
        ORDERS,
        f"{ORDERS}?external_reference={CANARY}",
        *(f"{ORDERS}/{order_id}{rest}" for order_id in planted.orders for rest in ("", "/timeline", "/notes")),
        *(f"{ORDERS}/{order_id}/timeline?cursor={planted.foreign_cursor}" for order_id in planted.orders),
        DELIVERIES,
        f"{DELIVERIES}?endpoint_id={planted.endpoint}",
        *(f"{DELIVERIES}/{delivery_id}" for delivery_id in planted.deliveries),
        "/metrics",
        "/readyz",
        "/openapi.json",
    ]
    foreign_cursor = await planted.service.get(f"{ORDERS}?limit=1&cursor={planted.foreign_cursor}", key)
    assert (foreign_cursor.status_code, foreign_cursor.json()["code"]) == (422, "cursor_invalid")
    capsys.readouterr()
    for path in paths:
        answer = await planted.service.get(path, key)
        # The address is the caller's own words; what it asked for is cut out of the answer before the search.
        answered = answer.content.replace(path.encode(), b"").decode() + str(answer.headers)
        assert CANARY not in answered, path
        assert "globex" not in answered, path
        assert answer.status_code in {200, 404, 422}, path
    assert "globex" not in capsys.readouterr().out


async def test_a_key_of_the_installation_sees_all_partners_of_its_mode_and_its_reads_are_logged(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    for scope in ("dashboard:read", "audit:read"):
        key = await planted.service.key(None, scopes=[scope])

        listed = await planted.service.get(ORDERS, key)
        capsys.readouterr()
        own_mode, other_mode = [await planted.service.get(f"{ORDERS}/{order_id}", key) for order_id in planted.orders]

        assert len(listed.json()["data"]) == 4
        assert [own_mode.status_code, other_mode.status_code] == [200, 404]
        line = capsys.readouterr().out
        assert all(each in line for each in ("audit.read", str(planted.orders[0]), "globex"))


async def test_a_key_of_the_installation_reads_no_webhooks(service: QueryService) -> None:
    for path in (DELIVERIES, f"{DELIVERIES}/{clock.new_id()}"):
        answer = await service.get(path, await service.key(None, scopes=INSTALLATION_SCOPES))
        assert [answer.status_code, answer.json()["code"]] == [403, "scope_missing"]


def test_webhook_deliveries_cannot_be_read_without_a_partner() -> None:
    with pytest.raises(ValueError, match="partner"):
        visible(deliveries, is_partner=False)
    with pytest.raises(Problem, match="partner_key_required"):
        visibility_of(Principal("8Zk2Qp1x", None, livemode=False, scopes=frozenset({"webhooks:read"})), ["tenant_id"])
