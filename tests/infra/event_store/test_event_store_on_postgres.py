"""The PostgreSQL store keeps the contract, and what only a server can show: notifications, holes, batch reads."""

import asyncio
from uuid import UUID

import asyncpg
import pytest

from infra.clock import new_id
from infra.event_store.postgres import PostgresEventStore, open_event_store, read_streams
from infra.event_store.protocol import AppendCommand, LogCorruptError
from infra.postgres.pool import Pool
from infra.settings import PostgresSettings
from tests.support.event_store.append_commands import a_command
from tests.support.event_store.contract import BatchEventStore, EventStoreContract, appended
from tests.support.services.servers import Database
from tests.support.waiting import eventually


class TestPostgresEventStore(EventStoreContract):
    @pytest.fixture
    def store(self, postgres_store: PostgresEventStore) -> BatchEventStore:
        return postgres_store


async def test_many_streams_are_read_in_one_query_up_to_a_position(
    postgres_store: PostgresEventStore, command_pool: Pool
) -> None:
    one, other, missing = new_id(), new_id(), new_id()
    await postgres_store.append(a_command(stream=one, events=2))
    await postgres_store.append(a_command(stream=other, events=1))
    await postgres_store.append(a_command(stream=one, expected=2, events=2))

    async with command_pool.acquire() as connection:
        streams = await read_streams(connection, [one, other, missing], upto_position=4)

    assert {stream: [event.version for event in events] for stream, events in streams.items()} == {
        one: [1, 2, 3],
        other: [1],
    }


async def test_a_batch_with_events_notifies_once_and_one_without_never(
    postgres_store: PostgresEventStore, database: Database
) -> None:
    heard: list[object] = []
    listener = await asyncpg.connect(database.worker_url)
    await listener.add_listener("harbor_events", lambda _connection, _pid, _channel, payload: heard.append(payload))

    await postgres_store.append_batch([a_command(events=2), a_command(events=0), a_command(events=3)])
    await postgres_store.append(a_command(events=0))
    await postgres_store.append(a_command(events=1))
    await eventually(lambda: len(heard) >= 2)

    assert heard == ["1 5", "6 6"]
    await listener.close()


async def test_a_hole_in_the_log_stops_the_reader(postgres_store: PostgresEventStore, database: Database) -> None:
    for _ in range(5):
        await postgres_store.append(a_command())
    vandal = await asyncpg.connect(database.admin_url)
    await vandal.execute("DELETE FROM harbor.events WHERE position = 3")
    await vandal.close()

    with pytest.raises(LogCorruptError, match="position 3 is missing"):
        await postgres_store.read_all(0, 10)
    with pytest.raises(LogCorruptError, match="position 3 is missing"):
        await postgres_store.read_all(2, 10)
    assert [event.position for event in await postgres_store.read_all(3, 10)] == [4, 5]


async def test_each_log_of_a_database_has_its_own_positions_head_and_events(
    postgres_store: PostgresEventStore, command_settings: PostgresSettings, command_pool: Pool
) -> None:
    async with open_event_store(command_settings, command_pool, log_id=1) as other_store:
        ours = [a_command(events=2), a_command(), a_command(events=2)]
        theirs = [a_command(), a_command(events=2)]
        outcomes = [appended(await postgres_store.append(each)) for each in ours[:2]]
        others = [appended(await other_store.append(each)) for each in theirs]
        outcomes += [appended(await postgres_store.append(ours[2]))]
        logs = [(await store.head(), await store.read_all(0, 100)) for store in (postgres_store, other_store)]

    assert [each.position for each in outcomes] == [2, 3, 5]
    assert [each.position for each in others] == [1, 3]
    assert [head for head, _ in logs] == [5, 3]
    assert [[(event.log_id, event.position, event.event_id) for event in events] for _, events in logs] == [
        written(0, ours),
        written(1, theirs),
    ]


def written(log_id: int, commands: list[AppendCommand]) -> list[tuple[int, int, UUID]]:
    """Return log, position and id of every event of commands that are all there is in a log."""
    events = [event for command in commands for event in command.events]
    return [(log_id, position, event.event_id) for position, event in enumerate(events, 1)]


async def test_the_ledger_covers_the_log_without_gaps(postgres_store: PostgresEventStore, command_pool: Pool) -> None:
    await asyncio.gather(*(postgres_store.append(a_command(events=number % 3)) for number in range(30)))

    rows = await command_pool.fetch("SELECT first_position, last_position, count FROM harbor.batches ORDER BY 1")

    upto = 0
    for row in rows:
        assert row["first_position"] == upto + 1
        upto = row["last_position"]
    assert upto == await postgres_store.head() == 30


async def test_auditors_see_payloads_as_json_that_keeps_its_text(
    postgres_store: PostgresEventStore, database: Database
) -> None:
    command = a_command(events=0)
    await postgres_store.append(command)
    appended(await postgres_store.append(a_command()))
    auditor = await asyncpg.connect(database.query_url)

    document = await auditor.fetchval("SELECT payload ->> 'a' FROM harbor.event_documents WHERE position = 1")

    assert document == "1"
    await auditor.close()
