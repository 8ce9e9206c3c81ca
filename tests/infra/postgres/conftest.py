"""An administrator's connection to the test's database."""

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
