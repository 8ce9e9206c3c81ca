"""The desk at which API keys are made."""

from collections.abc import AsyncIterator

import pytest

from tests.command_api.api_keys.key_desk import KeyDesk, key_desk
from tests.support.services.servers import Database


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[KeyDesk]:
    """Return a running service over an empty table of keys."""
    async with key_desk(database) as running:
        yield running
