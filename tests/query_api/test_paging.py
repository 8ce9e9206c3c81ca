"""Paging gives every order that was there from the start exactly once, whatever is inserted meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.services.query_service import ORDERS, START, OrderRow, QueryService, order_row, query_service
from tests.support.services.servers import Database, PostgresCluster


@pytest.fixture
async def service(database: Database) -> AsyncIterator[QueryService]:
    async with query_service(database) as running:
        yield running


def at(millisecond: int, partner_id: str) -> OrderRow:
    return order_row(created_at=START + timedelta(milliseconds=millisecond), partner_id=partner_id)


async def walk(service: QueryService, partner_id: str, limits: list[int], between_pages: list[list[int]]) -> list[UUID]:
    """Walk the whole list; after page n insert orders at the instants of `between_pages[n]`."""
    key, seen, cursor, page = await service.key(partner_id), [], "", 0
    while True:
        limit = limits[page % len(limits)]
        answer = await service.get(f"{ORDERS}?limit={limit}" + (f"&cursor={cursor}" if cursor else ""), key)
        body = answer.json()
        assert len(body["data"]) <= limit
        seen += [UUID(item["id"]) for item in body["data"]]
        if not body["has_more"]:
            return seen
        cursor = body["next_cursor"]
        if page < len(between_pages):
            await service.rows.add_orders(*(at(instant, partner_id) for instant in between_pages[page]))
        page += 1


INSTANTS = st.integers(0, 20)


@given(
    instants=st.lists(INSTANTS, max_size=25),
    limits=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    between_pages=st.lists(st.lists(INSTANTS, max_size=3), max_size=6),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_walk_meets_every_order_once(
    paging: "Paging", instants: list[int], limits: list[int], between_pages: list[list[int]]
) -> None:
    start, seen = paging.walked(instants, limits, between_pages)

    assert len(seen) == len(set(seen)), "none twice"
    assert start <= set(seen), "none left out"


class Paging:
    """Runs one example after the other in one event loop, each with a partner of its own."""

    def __init__(self, runner: asyncio.Runner, service: QueryService) -> None:
        self._runner = runner
        self._service = service
        self._examples = 0

    def walked(
        self, instants: list[int], limits: list[int], between_pages: list[list[int]]
    ) -> tuple[set[UUID], list[UUID]]:
        self._examples += 1
        return self._runner.run(self._walked(f"p{self._examples}", instants, limits, between_pages))

    async def _walked(
        self, partner_id: str, instants: list[int], limits: list[int], between_pages: list[list[int]]
    ) -> tuple[set[UUID], list[UUID]]:
        rows = [at(instant, partner_id) for instant in instants]
        await self._service.rows.add_orders(*rows)
        return {row.order_id for row in rows}, await walk(self._service, partner_id, limits, between_pages)


@pytest.fixture
def paging(postgres_cluster: PostgresCluster) -> Iterator[Paging]:
    with asyncio.Runner() as runner:
        database = runner.run(postgres_cluster.create_database())
        context = query_service(database)
        yield Paging(runner, runner.run(context.__aenter__()))
        runner.run(context.__aexit__(None, None, None))
        runner.run(postgres_cluster.drop_database(database.name))


async def test_a_cursor_of_other_filters_is_refused(service: QueryService) -> None:
    await service.rows.add_orders(*(order_row(number) for number in range(3)))
    key = await service.key()
    cursor = (await service.get(f"{ORDERS}?limit=1&status=pending", key)).json()["next_cursor"]

    same = await service.get(f"{ORDERS}?limit=2&status=pending&cursor={cursor}", key)
    other = await service.get(f"{ORDERS}?limit=2&status=captured&cursor={cursor}", key)
    none = await service.get(f"{ORDERS}?cursor={cursor}", key)

    assert [same.status_code, other.status_code, none.status_code] == [200, 422, 422]
    assert other.json()["code"] == "cursor_invalid"
