"""A pool that is not there yet is looked for again, whatever the last attempt said."""

import asyncio
from typing import Never
from urllib.parse import urlsplit

import pytest
from prometheus_client import REGISTRY

from infra.postgres.deferred_pool import DeferredPool, PoolNotOpenError
from infra.postgres.pool import DangerousSettingsError, Pool, open_pool
from infra.settings import PostgresSettings
from tests.support.services.servers import Database
from tests.support.services.tcp_proxy import CuttingProxy


async def test_it_keeps_looking_after_a_refusal_and_after_an_error_nobody_foresaw(database: Database) -> None:
    errors: list[Exception] = [ConnectionRefusedError(), DangerousSettingsError("fsync is off"), ZeroDivisionError()]
    settings = PostgresSettings.model_validate({"url": database.query_url})

    async def attempt() -> Pool:
        if errors:
            raise errors.pop(0)
        return await open_pool(settings, application_name="late")

    async with DeferredPool(attempt) as late:
        assert (await late.opened()) is late.pool
        assert await late.check() == ()


async def test_until_it_is_open_it_says_what_it_waits_for() -> None:
    async def attempt() -> Never:
        raise DangerousSettingsError("fsync is off")

    async with DeferredPool(attempt) as late:
        assert await late.check() == ("database_settings_dangerous",)
        with pytest.raises(PoolNotOpenError):
            _ = late.pool


async def test_a_process_starts_while_a_frozen_server_answers_no_attempt() -> None:
    async def attempt() -> Never:
        await asyncio.Event().wait()
        raise AssertionError

    async with asyncio.timeout(60), DeferredPool(attempt) as late:
        assert await late.check() == ("starting",)


async def test_its_connections_are_metrics_while_it_is_open(database: Database) -> None:
    settings = PostgresSettings.model_validate({"url": database.query_url, "pool_max": 3})

    def shown() -> tuple[float | None, ...]:
        name = "harbor_postgres_pool_connections"
        values = [REGISTRY.get_sample_value(name, {"state": state}) for state in ("in_use", "idle")]
        return (*values, REGISTRY.get_sample_value("harbor_postgres_pool_max_connections"))

    async with DeferredPool(lambda: open_pool(settings, application_name="counted")) as late:
        assert shown() == (0, 1, 3)
        async with late.pool.acquire(), late.pool.acquire():
            assert shown() == (2, 0, 3)
    assert shown() == (None, None, None)


async def test_a_server_that_is_frozen_is_unreachable_at_once_and_gets_one_question(database: Database) -> None:
    address = urlsplit(database.query_url)
    asked = 0

    async def question(pool: Pool) -> None:
        nonlocal asked
        asked += 1
        await pool.fetchval("SELECT 1")

    async with CuttingProxy(address.hostname or "", address.port or 0) as proxy:
        url = database.query_url.replace(f":{address.port}", f":{proxy.port}")
        settings = PostgresSettings.model_validate({"url": url, "command_timeout_s": 120})
        async with DeferredPool(lambda: open_pool(settings, application_name="frozen"), question) as late:
            assert await late.check() == ()
            proxy.freeze()
            async with asyncio.timeout(60):  # long before the statement's own deadline
                answers = [await late.check(timeout_s=0.1) for _ in range(3)]

    assert answers == [("database_unreachable",)] * 3
    assert asked == 2
