"""Nobody learns of another partner's data: canaries in every row, every byte that leaves is searched."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from infra import clock
from query_api.orders.queries import notes_page, order_by_id, orders_page, timeline_page
from query_api.visibility import visible
from query_api.webhooks.queries import attempts_of_delivery, deliveries, deliveries_page, delivery_by_id
from tests.support.services.query_service import DELIVERIES, ORDERS, QueryService, order_row, query_service
from tests.support.services.servers import Database

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
async def planted(database: Database) -> AsyncIterator[Planted]:
    async with query_service(database) as service:
        rows = [
            order_row(number, partner_id=partner, livemode=livemode, external_reference=CANARY, note=CANARY)
            for partner, livemode in (("globex", False), ("acme", True))
            for number in range(3)
        ]
        await service.rows.add_orders(*rows)
        for row in rows:
            await service.rows.add_events(row, 3)
        endpoint = clock.new_id()
        deliveries = (
            await service.rows.add_delivery("globex.test", note=CANARY, endpoint_id=endpoint),
            await service.rows.add_delivery("acme.live", note=CANARY),
        )
        own = order_row(9)
        await service.rows.add_orders(own)
        await service.rows.add_events(own)
        foreign = await service.get(f"{ORDERS}?limit=1", await service.key("globex"))
        ids = (rows[0].order_id, rows[3].order_id)
        yield Planted(service, ids, deliveries, endpoint, foreign.json()["next_cursor"])


async def test_no_answer_to_a_partner_holds_a_byte_of_another(planted: Planted) -> None:
    key = await planted.service.key("acme")
    paths = [
        ORDERS,
        f"{ORDERS}?external_reference={CANARY}",
        f"{ORDERS}?limit=1&cursor={planted.foreign_cursor}",
        *(f"{ORDERS}/{order_id}" for order_id in planted.orders),
        *(f"{ORDERS}/{order_id}/timeline" for order_id in planted.orders),
        *(f"{ORDERS}/{order_id}/notes" for order_id in planted.orders),
        *(f"{ORDERS}/{order_id}/timeline?cursor={planted.foreign_cursor}" for order_id in planted.orders),
        DELIVERIES,
        f"{DELIVERIES}?endpoint_id={planted.endpoint}",
        *(f"{DELIVERIES}/{delivery_id}" for delivery_id in planted.deliveries),
        "/metrics",
        "/readyz",
        "/openapi.json",
    ]
    for path in paths:
        answer = await planted.service.get(path, key)
        # The address is the asker's own words; what it asked for is cut out of the answer before the search.
        answered = answer.content.replace(path.encode(), b"").decode() + str(answer.headers)
        assert CANARY not in answered, path
        assert "globex" not in answered, path
        assert answer.status_code in {200, 404, 422}, path


async def test_a_list_of_one_partner_holds_its_orders_of_this_mode_only(planted: Planted) -> None:
    answer = await planted.service.get(ORDERS, await planted.service.key("acme"))

    assert len(answer.json()["data"]) == 1


async def test_the_cursor_of_another_partner_is_refused(planted: Planted) -> None:
    answer = await planted.service.get(f"{ORDERS}?limit=1&cursor={planted.foreign_cursor}", await planted.service.key())

    assert [answer.status_code, answer.json()["code"]] == [422, "cursor_invalid"]


async def test_a_key_of_the_installation_sees_all_partners_of_its_mode(planted: Planted) -> None:
    for scope in ("dashboard:read", "audit:read"):
        key = await planted.service.key(None, scopes=[scope])

        listed = await planted.service.get(ORDERS, key)
        own_mode, other_mode = [await planted.service.get(f"{ORDERS}/{order_id}", key) for order_id in planted.orders]

        assert len(listed.json()["data"]) == 4
        assert [own_mode.status_code, other_mode.status_code] == [200, 404]


async def test_a_key_of_the_installation_reads_no_webhooks(planted: Planted) -> None:
    answer = await planted.service.get(DELIVERIES, await planted.service.key(None))

    assert [answer.status_code, answer.json()["code"]] == [403, "scope_missing"]


async def test_the_log_of_one_partner_names_no_other(planted: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    key = await planted.service.key("acme")
    capsys.readouterr()

    for order_id in planted.orders:
        await planted.service.get(f"{ORDERS}/{order_id}", key)

    assert "globex" not in capsys.readouterr().out


async def test_every_read_of_an_auditor_is_logged_with_what_was_seen(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    key = await planted.service.key(None, scopes=["audit:read"])
    capsys.readouterr()

    await planted.service.get(f"{ORDERS}/{planted.orders[0]}", key)

    line = capsys.readouterr().out
    assert "audit.read" in line
    assert str(planted.orders[0]) in line
    assert "globex" in line


def test_every_statement_names_whose_data_it_reads() -> None:
    for query in (
        order_by_id(is_partner=True),
        timeline_page(is_partner=True),
        notes_page(is_partner=True),
        orders_page(frozenset(), is_partner=True, is_first=True),
    ):
        assert {"partner_id", "livemode"} <= set(query.names)
    for query in (order_by_id(is_partner=False), timeline_page(is_partner=False), notes_page(is_partner=False)):
        assert "livemode" in query.names
    for query in (delivery_by_id(), attempts_of_delivery(), deliveries_page(frozenset(), is_first=True)):
        assert "tenant_id" in query.names


def test_webhook_deliveries_cannot_be_read_without_a_partner() -> None:
    with pytest.raises(ValueError, match="partner"):
        visible(deliveries, is_partner=False)
