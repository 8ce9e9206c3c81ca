"""The query service over a database of each test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.support.services.query_service import QueryService, query_service
from tests.support.services.servers import Database


@pytest.fixture
async def service(database: Database) -> AsyncIterator[QueryService]:
    async with query_service(database) as running:
        yield running
