"""Batches of orders over PostgreSQL: one call, one ledger row; races, cuts and full queues settle by key."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.orders.batches import Json, batch, item, results, told
from tests.support.orders.builders import order_body
from tests.support.services.command_service import BATCH, Service, postgres_service
from tests.support.services.servers import Database
from tests.support.waiting import eventually

CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'harbor-command-append'"
LEDGER = "SELECT first_position, last_position FROM harbor.batches ORDER BY first_position"


@pytest.fixture
async def service(database: Database) -> AsyncIterator[Service]:
    async with postgres_service(database) as running:
        yield running


def items(count: int, prefix: str = "k") -> list[Json]:
    return [item(f"{prefix}-{number}", external_reference=f"{prefix}-{number}") for number in range(count)]


async def test_five_hundred_orders_travel_in_one_call_and_are_one_row_of_the_ledger(
    service: Service, database: Database
) -> None:
    answer = await service.post(BATCH, batch(*items(500)))

    assert told(answer) == [(201, None)] * 500
    assert [tuple(row) for row in await database.fetch(LEDGER)] == [(1, 500)]
    tokens = [int(result["consistency_token"].partition(".")[2]) for result in results(answer)]
    assert tokens == list(range(1, 501))


async def test_copies_of_a_batch_at_once_over_two_processes_make_each_order_once(
    service: Service, database: Database
) -> None:
    body = batch(*items(100))
    async with postgres_service(database) as other:
        answers = await asyncio.gather(*(each.post(BATCH, body) for _ in range(2) for each in (service, other)))

    bodies = {tuple(result["location"] for result in results(answer)) for answer in answers}
    assert len(bodies) == 1
    assert sum(answer.json()["summary"]["created"] for answer in answers) == 100
    assert await service.store.head() == 100


async def test_batches_and_single_creates_of_the_same_orders_at_once_make_each_order_once(service: Service) -> None:
    singles = [
        service.post(body=order_body(external_reference=f"k-{number}"), key=f"k-{number}") for number in range(50)
    ]

    batched, *alone = await asyncio.gather(service.post(BATCH, batch(*items(50))), *singles)

    assert {answer.status_code for answer in alone} == {201}
    assert [result["body"] for result in results(batched)] == [answer.json() for answer in alone]
    assert await service.store.head() == 50


async def test_connections_cut_during_batches_lose_and_double_nothing(service: Service, database: Database) -> None:
    async def settle(prefix: str) -> httpx.Response:
        async def answered() -> httpx.Response | None:
            answer = await service.post(BATCH, batch(*items(100, prefix)))
            is_known = answer.status_code == 207 and answer.json()["summary"]["unknown"] == 0
            return answer if is_known else None

        return await eventually(answered, timeout_s=90.0) or pytest.fail("no answer")

    pending = [asyncio.create_task(settle(f"p{number}")) for number in range(8)]
    pause_s = 0.05
    while not all(task.done() for task in pending):
        await database.fetch(CUT)
        await asyncio.wait(pending, timeout=pause_s)
        pause_s *= 1.1  # on a slow machine a moment comes that is long enough
    answers = [task.result() for task in pending]

    assert {code for answer in answers for code in told(answer)} == {(201, None)}
    assert len({result["location"] for answer in answers for result in results(answer)}) == 800
    assert await service.store.head() == 800
