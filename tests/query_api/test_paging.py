"""Paging returns every order that was there from the start exactly once, whatever is inserted meanwhile."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.services.query_service import ORDERS, START, OrderRow, QueryService, order_row, query_service
from tests.support.services.servers import PostgresCluster

INSTANTS = st.integers(0, 20)


class Paging:
    """Runs one example after the other in one event loop, each with a partner of its own."""

    def __init__(self, runner: asyncio.Runner, service: QueryService) -> None:
        self._runner = runner
        self._service = service
        self._examples = 0

    def walked(
        self, instants: list[int], limits: list[int], between_pages: list[list[int]]
    ) -> tuple[set[UUID], list[UUID]]:
        """Return the orders that were there from the start, and those met on a walk over the whole list."""
        self._examples += 1
        return self._runner.run(self._walked(f"p{self._examples}", instants, limits, between_pages))

    async def _walked(
        self, partner_id: str, instants: list[int], limits: list[int], between_pages: list[list[int]]
    ) -> tuple[set[UUID], list[UUID]]:
        rows, key = [_at(instant, partner_id) for instant in instants], await self._service.key(partner_id)
        await self._service.rows.add_orders(*rows)
        seen: list[UUID] = []
        cursor, page = "", 0
        while True:
            limit = limits[page % len(limits)]
            body = (await self._service.get(f"{ORDERS}?limit={limit}{cursor}", key)).json()
            assert len(body["data"]) <= limit
            seen += [UUID(item["id"]) for item in body["data"]]
            if not body["has_more"]:
                return {row.order_id for row in rows}, seen
            cursor = f"&cursor={body['next_cursor']}"
            for inserted in between_pages[page : page + 1]:
                await self._service.rows.add_orders(*(_at(instant, partner_id) for instant in inserted))
            page += 1


def _at(millisecond: int, partner_id: str) -> OrderRow:
    return order_row(created_at=START + timedelta(milliseconds=millisecond), partner_id=partner_id)


@pytest.fixture
def paging(postgres_cluster: PostgresCluster) -> Iterator[Paging]:
    with asyncio.Runner() as runner:
        database = runner.run(postgres_cluster.create_database())
        context = query_service(database)
        yield Paging(runner, runner.run(context.__aenter__()))
        runner.run(context.__aexit__(None, None, None))
        runner.run(postgres_cluster.drop_database(database.name))


@given(
    instants=st.lists(INSTANTS, max_size=25),
    limits=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    between_pages=st.lists(st.lists(INSTANTS, max_size=3), max_size=6),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_walk_meets_every_order_once(
    paging: Paging, instants: list[int], limits: list[int], between_pages: list[list[int]]
) -> None:
    start, seen = paging.walked(instants, limits, between_pages)

    assert len(seen) == len(set(seen)), "none twice"
    assert start <= set(seen), "none left out"


async def test_a_cursor_of_other_filters_is_refused(service: QueryService) -> None:
    await service.rows.add_orders(*(order_row(number) for number in range(3)))
    key = await service.key()
    cursor = (await service.get(f"{ORDERS}?limit=1&status=pending", key)).json()["next_cursor"]

    answers = [
        await service.get(f"{ORDERS}?{filters}cursor={cursor}", key)
        for filters in ("limit=2&status=pending&", "limit=2&status=captured&", "")
    ]

    assert [(answer.status_code, answer.json().get("code")) for answer in answers] == [
        (200, None),
        (422, "cursor_invalid"),
        (422, "cursor_invalid"),
    ]
