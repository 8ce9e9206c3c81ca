"""The PostgreSQL store keeps the contract, and what only a server can show: notifications, holes, batch reads."""

from uuid import UUID

import asyncpg
import pytest

from infra.clock import new_id
from infra.event_store.log_reads import read_streams
from infra.event_store.postgres import PostgresEventStore, open_event_store
from infra.event_store.protocol import AppendCommand, EventStore, LogCorruptError
from infra.postgres.connection import DedicatedConnection
from infra.postgres.pool import Pool
from infra.settings import PostgresSettings
from tests.support.event_store.append_commands import a_command, an_event
from tests.support.event_store.contract import EventStoreContract
from tests.support.services.servers import Database
from tests.support.waiting import eventually


class TestPostgresEventStore(EventStoreContract):
    @pytest.fixture
    def store(self, postgres_store: PostgresEventStore) -> EventStore:
        return postgres_store


async def test_many_streams_are_read_in_one_query(postgres_store: PostgresEventStore, command_pool: Pool) -> None:
    one, other, missing = new_id(), new_id(), new_id()
    await postgres_store.append(a_command(stream=one, events=2))
    await postgres_store.append(a_command(stream=other, events=1))
    await postgres_store.append(a_command(stream=one, expected=2, events=2))

    async with command_pool.acquire() as connection:
        streams = await read_streams(connection, [one, other, missing])

    assert {stream: [event.version for event in events] for stream, events in streams.items()} == {
        one: [1, 2, 3, 4],
        other: [1],
    }


async def test_a_batch_with_events_notifies_once_and_one_without_never(
    postgres_store: PostgresEventStore, database: Database
) -> None:
    heard: list[object] = []
    listener = await asyncpg.connect(database.worker_url)
    await listener.add_listener("harbor_events", lambda _connection, _pid, _channel, payload: heard.append(payload))

    await postgres_store.append_all([a_command(events=2), a_command(events=0), a_command(events=3)])
    await postgres_store.append(a_command(events=0))
    await postgres_store.append(a_command(events=1))
    await eventually(lambda: len(heard) >= 2)

    assert heard == ["1 5", "6 6"]
    await listener.close()


async def test_a_hole_in_the_log_stops_the_reader(
    postgres_store: PostgresEventStore, admin: DedicatedConnection
) -> None:
    await postgres_store.append(a_command(events=5))
    await admin.execute("DELETE FROM harbor.events WHERE position = 3")

    with pytest.raises(LogCorruptError, match="position 3 is missing"):
        await postgres_store.read_all(0, 10)
    with pytest.raises(LogCorruptError, match="position 3 is missing"):
        await postgres_store.read_all(2, 10)
    assert [event.position for event in await postgres_store.read_all(3, 10)] == [4, 5]


async def test_each_log_of_a_database_has_its_own_positions_and_events(
    postgres_store: PostgresEventStore, command_settings: PostgresSettings, command_pool: Pool
) -> None:
    ours, theirs = [a_command(events=2), a_command(), a_command(events=2)], [a_command(), a_command(events=2)]
    async with open_event_store(command_settings, command_pool, log_id=1) as other_store:
        await postgres_store.append_all(ours[:2])
        await other_store.append_all(theirs)
        await postgres_store.append(ours[2])
        logs = [(await store.head(), await store.read_all(0, 100)) for store in (postgres_store, other_store)]

    assert [head for head, _ in logs] == [5, 3]
    assert [[(event.log_id, event.position, event.event_id) for event in events] for _, events in logs] == [
        written(0, ours),
        written(1, theirs),
    ]


def written(log_id: int, commands: list[AppendCommand]) -> list[tuple[int, int, UUID]]:
    """Return log, position and id of every event of commands that are all there is in a log."""
    events = [event for command in commands for event in command.events]
    return [(log_id, position, event.event_id) for position, event in enumerate(events, 1)]


async def test_auditors_see_payloads_as_json_that_keeps_its_text(
    postgres_store: PostgresEventStore, database: Database
) -> None:
    await postgres_store.append(a_command(events=[an_event(b'{"a":1E131071}')]))
    auditor = await asyncpg.connect(database.query_url)

    assert await auditor.fetchval("SELECT payload ->> 'a' FROM harbor.event_documents") == "1E131071"
    await auditor.close()
