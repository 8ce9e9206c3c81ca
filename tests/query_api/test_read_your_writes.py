"""A read that shows a Consistency-Token sees what the token stands for, or is told to come back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from infra.partitioning import partition_of
from query_api.freshness import MAX_WAITERS_OF_ONE
from tests.support.services.query_service import DELIVERIES, ORDERS, PARTITIONS, QueryService, order_row, query_service
from tests.support.services.servers import Database
from tests.support.waiting import eventually

PATIENT = {"consistency_wait_s": 50.0, "request_deadline_s": 60.0}


@pytest.fixture
async def service(database: Database) -> AsyncIterator[QueryService]:
    async with query_service(database, consistency_wait_s=0.1) as running:
        yield running


async def test_a_read_waits_until_its_shard_is_there_and_sees_the_order(database: Database) -> None:
    async with query_service(database, **PATIENT) as service:
        row, key = order_row(), await service.key()
        partition = partition_of(row.order_id, PARTITIONS)
        waiting = asyncio.create_task(service.get(f"{ORDERS}/{row.order_id}", key, consistency_token=f"{partition}.1"))
        await asyncio.sleep(0)

        await service.rows.log_reaches(1)
        await service.rows.add_orders(row)
        await service.rows.apply(partition, 1, 1)
        answer = await waiting

    assert [answer.status_code, answer.content] == [200, row.document]
    assert int(answer.headers["x-read-position"]) >= 1


async def test_a_read_of_what_does_not_come_is_503_and_says_when_to_come_back(service: QueryService) -> None:
    key = await service.key()
    for path in (ORDERS, f"{ORDERS}/019a8b5c-0000-7000-8000-000000000000", DELIVERIES):
        answer = await service.get(path, key, consistency_token="3.99")

        assert [answer.status_code, answer.json()["code"]] == [503, "projection_lagging"]
        assert (answer.headers["retry-after"], answer.json()["retryable"]) == ("1", True)


async def test_a_lost_notification_only_costs_time(database: Database) -> None:
    async with query_service(database, **PATIENT) as service:
        key = await service.key()
        await service.rows.log_reaches(1)
        waiting = asyncio.create_task(service.get(ORDERS, key, consistency_token="3.1"))
        await asyncio.sleep(0)

        await service.rows.apply(3, 1, 1, is_told=False)
        answer = await waiting

    assert answer.status_code == 200


async def test_every_read_says_how_fresh_it_is(service: QueryService) -> None:
    key = await service.key()
    await service.rows.log_reaches(5)
    await service.rows.apply(0, 4, 3)
    await service.rows.apply(1, 3, 1)

    async def lag_ms(expected_position: str) -> int | None:
        answer = await service.get(ORDERS, key)
        if answer.headers["x-read-position"] != expected_position:
            return None
        return int(answer.headers["x-read-lag-ms"])

    async def is_behind() -> bool:
        lag = await lag_ms("0")
        return lag is not None and lag > 0

    async def is_complete() -> bool:
        return await lag_ms("5") == 0

    missing = await service.get(f"{ORDERS}/019a8b5c-0000-7000-8000-000000000000", key)
    assert (missing.status_code, {"x-read-position", "x-read-lag-ms"} <= set(missing.headers)) == (404, True)
    await eventually(is_behind)
    await service.rows.apply(2, 5, 1)
    await eventually(is_complete)


async def test_a_partner_that_waits_with_many_reads_leaves_places_for_another(database: Database) -> None:
    async with query_service(database, **PATIENT) as service:
        greedy, other = await service.key("globex"), await service.key("acme")
        await service.rows.log_reaches(1)
        flood = [asyncio.create_task(service.get(ORDERS, greedy, consistency_token="0.1000")) for _ in range(70)]
        await eventually(lambda: sum(task.done() for task in flood) >= 70 - MAX_WAITERS_OF_ONE)

        one_behind = asyncio.create_task(service.get(ORDERS, other, consistency_token="3.1"))
        await asyncio.wait([one_behind], timeout=0.1)
        waits = not one_behind.done()
        await service.rows.apply(3, 1, 1)
        answer = await one_behind
        refused = [task.result().json()["code"] for task in flood if task.done()]
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)

    assert (waits, answer.status_code) == (True, 200)
    assert refused == ["projection_lagging"] * (70 - MAX_WAITERS_OF_ONE)
