"""The memory store keeps the contract."""

from datetime import timedelta

import pytest

from infra.event_store.memory import MemoryEventStore
from infra.event_store.protocol import EventStore
from tests.support.event_store.append_commands import A_MOMENT, a_command
from tests.support.event_store.contract import EventStoreContract


class TestMemoryEventStore(EventStoreContract):
    @pytest.fixture
    def store(self) -> EventStore:
        return MemoryEventStore()


async def test_recorded_at_stays_when_the_clock_is_set_back() -> None:
    readings = iter([A_MOMENT, A_MOMENT - timedelta(hours=1), A_MOMENT + timedelta(seconds=1)])
    store = MemoryEventStore(now=lambda: next(readings))

    for _ in range(3):
        await store.append(a_command())

    times = [event.recorded_at for event in await store.read_all(0, 10)]
    assert times == [A_MOMENT, A_MOMENT, A_MOMENT + timedelta(seconds=1)]
