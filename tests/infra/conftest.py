"""Connections to the test's database: an administrator's, and one of the command service's login."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from infra.postgres.connection import DedicatedConnection
from tests.support.services.servers import Database


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[DedicatedConnection]:
    connection = await asyncpg.connect(database.admin_url)
    yield connection
    await connection.close()


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[DedicatedConnection]:
    connection = await asyncpg.connect(database.command_url)
    yield connection
    await connection.close()
