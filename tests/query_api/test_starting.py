"""The service starts before what it needs, says what is missing, and serves when it comes."""

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

from tests.support.services.query_service import DELIVERIES, ORDERS, order_row, query_service
from tests.support.services.servers import Database
from tests.support.services.tcp_proxy import CuttingProxy


async def test_without_read_models_it_says_so_and_serves_when_they_are_made(database: Database) -> None:
    async with query_service(database) as service:
        key = await service.key()
        await service.rows.execute("ALTER TABLE harbor_read.orders_v1 RENAME TO gone")
        waiting, read = await service.http.get("/readyz"), await service.get(ORDERS, key)
        others = await service.get(DELIVERIES, key)
        await service.rows.execute("ALTER TABLE harbor_read.gone RENAME TO orders_v1")
        row = order_row()
        await service.rows.add_orders(row)
        ready, found = await service.http.get("/readyz"), await service.get(f"{ORDERS}/{row.order_id}", key)

    assert [waiting.status_code, waiting.json()["waiting_for"]] == [503, ["read_models_missing"]]
    assert [read.status_code, read.json()["code"]] == [503, "read_models_missing"]
    assert others.status_code == 200
    assert [ready.status_code, found.status_code] == [200, 200]


async def test_a_frozen_database_holds_no_read_past_its_deadline(database: Database) -> None:
    url = urlsplit(database.query_url)
    async with CuttingProxy(url.hostname or "", url.port or 0) as proxy:
        behind = url._replace(netloc=url.netloc.replace(f":{url.port}", f":{proxy.port}")).geturl()
        async with query_service(replace(database, query_url=behind), request_deadline_s=3.0) as service:
            row, key = order_row(), await service.key()
            await service.rows.add_orders(row)
            assert (await service.get(f"{ORDERS}/{row.order_id}", key)).status_code == 200
            proxy.freeze()
            async with asyncio.timeout(60):
                read = await service.get(f"{ORDERS}/{row.order_id}", key)

    assert [read.status_code, read.json()["code"]] == [503, "deadline_exceeded"]
