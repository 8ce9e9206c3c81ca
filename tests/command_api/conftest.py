"""What the tests of the command service share."""

from collections.abc import AsyncIterator

import pytest

from tests.support.services.command_service import Service, memory_service


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Return the service over a store in memory."""
    async with memory_service() as running:
        yield running
