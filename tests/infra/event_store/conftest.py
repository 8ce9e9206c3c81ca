"""The event store on a real PostgreSQL, as the command service has it."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from infra.event_store.appender import AppenderLimits
from infra.event_store.postgres import PostgresEventStore, open_event_store
from infra.postgres.pool import Pool, open_pool
from infra.settings import PostgresSettings
from tests.support.services.servers import Database


@pytest.fixture
def command_settings(database: Database) -> PostgresSettings:
    return PostgresSettings(url=SecretStr(database.command_url), command_timeout_s=60.0)


@pytest.fixture
async def command_pool(command_settings: PostgresSettings) -> AsyncIterator[Pool]:
    pool = await open_pool(command_settings, application_name="test-command")
    yield pool
    await pool.close()


@pytest.fixture
async def postgres_store(command_settings: PostgresSettings, command_pool: Pool) -> AsyncIterator[PostgresEventStore]:
    async with open_event_store(command_settings, command_pool, AppenderLimits(deadline_s=60.0)) as store:
        yield store
