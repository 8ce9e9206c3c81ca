"""Terminated backends and connections cut at the commit lose and double nothing; `tests/faults` has the races."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from infra.event_store.postgres import PostgresEventStore, open_event_store
from infra.event_store.protocol import Appended
from infra.postgres.connection import DedicatedConnection
from infra.settings import PostgresSettings
from tests.support.event_store.append_commands import a_command
from tests.support.event_store.log_lock import LOCK_THE_LOG, WAITING_FOR_THE_LOG, holding
from tests.support.services.servers import Database
from tests.support.services.tcp_proxy import CuttingProxy
from tests.support.waiting import eventually

TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'harbor-append' AND datname = current_database()
"""


async def test_after_a_connection_cut_at_the_commit_the_outcome_is_found_by_sending_again(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    address = urlsplit(database.command_url)
    assert address.hostname
    assert address.port
    async with CuttingProxy(address.hostname, address.port) as proxy:
        credentials = address.netloc.rpartition("@")[0]
        url = urlunsplit(address._replace(netloc=f"{credentials}@127.0.0.1:{proxy.port}"))
        settings = PostgresSettings(url=SecretStr(url))
        async with open_event_store(settings, postgres_store._pool) as store:
            await store.append(a_command())
            proxy.cut_after_request(lambda chunk: b"cut-me" in chunk)
            outcome = await store.append(a_command(key="cut-me", events=2))

    assert proxy.cuts == 1
    assert isinstance(outcome, Appended)
    assert (outcome.version, outcome.position) == (2, 3)
    assert await postgres_store.head() == 3


async def test_a_backend_terminated_while_it_waits_for_the_log_loses_nothing(
    database: Database, postgres_store: PostgresEventStore, admin: DedicatedConnection
) -> None:
    await postgres_store.append(a_command())
    async with holding(database, LOCK_THE_LOG):
        pending = [asyncio.create_task(postgres_store.append(a_command())) for _ in range(5)]
        terminated = await eventually(lambda: admin.fetchval(WAITING_FOR_THE_LOG))
        await admin.fetch(TERMINATE)

        async def waits_again() -> bool:
            return await admin.fetchval(WAITING_FOR_THE_LOG) not in {None, terminated}

        await eventually(waits_again)

    outcomes = await asyncio.gather(*pending)

    assert all(isinstance(outcome, Appended) for outcome in outcomes)
    assert await postgres_store.head() == 6
