"""How the library's events become commands, and that sending them again is harmless."""

from uuid import UUID, uuid4

import asyncpg
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent

from infra.eventsourcing_module.appending import prepare, runs, send
from tests.support.services.servers import Database


def an_event(stream: UUID, version: int) -> StoredEvent:
    return StoredEvent(originator_id=stream, originator_version=version, topic="thing", state=b"{}")


def test_events_of_an_aggregate_that_stand_together_are_one_run() -> None:
    one, other = uuid4(), uuid4()
    events = [an_event(one, 1), an_event(one, 2), an_event(other, 5), an_event(one, 3)]
    assert [(run.stream_id, run.first_version, len(run.events)) for run in runs(events)] == [
        (one, 1, 2),
        (other, 5, 1),
        (one, 3, 1),
    ]


@pytest.mark.parametrize("versions", [(1, 1), (1, 3), (2, 1), (-1, 0)])
def test_versions_that_do_not_follow_one_another_are_a_conflict(versions: tuple[int, int]) -> None:
    stream = uuid4()
    with pytest.raises(IntegrityError):
        runs([an_event(stream, version) for version in versions])


async def test_what_is_sent_again_after_a_lost_answer_gives_the_same_positions(database: Database) -> None:
    connection = await asyncpg.connect(database.command_url)
    one, other = uuid4(), uuid4()
    insertion = await prepare(connection, "acme.test", [an_event(one, 0), an_event(other, 1), an_event(one, 1)])

    async with connection.transaction():
        first = await send(connection, insertion)
    async with connection.transaction():
        again = await send(connection, insertion)

    assert first == again == [1, 2, 3]
    assert await connection.fetchval("SELECT count(*) FROM harbor.events") == 3
    await connection.close()
