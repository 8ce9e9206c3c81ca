"""The checks of the log find every planted bug, also the one that PostgreSQL sequences plant by themselves."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest

from infra.clock import new_id
from infra.event_store.append_batch import append_batch
from tests.faults.log_checks import Ack, Seen, check_log, check_reading
from tests.support.event_store.append_commands import a_command
from tests.support.event_store.log_reader import LogReader
from tests.support.services.servers import Database
from tests.support.waiting import eventually

A, B = UUID(int=0xA), UUID(int=0xB)
Log = list[Seen]
Acks = list[Ack]


def an_event(position: int, stream: UUID, version: int) -> Seen:
    return Seen(position, stream, version, UUID(int=position), b"%d" % position)


def an_ack(key: str, *events: Seen) -> Ack:
    last = events[-1]
    return Ack(
        key, last.stream_id, last.version, last.position, tuple((each.event_id, each.payload) for each in events)
    )


LOG = [an_event(1, A, 1), an_event(2, A, 2), an_event(3, B, 1), an_event(4, A, 3)]
ACKS = [an_ack("k1", *LOG[:2]), an_ack("k2", LOG[2]), an_ack("k3", LOG[3])]

PLANTED: dict[str, tuple[str, Callable[[Log, Acks], tuple[Log, Acks]]]] = {
    "a skipped position": ("skipped-by-reader", lambda log, acks: ([*log[:2], log[3]], acks)),
    "a first position that is not 1": ("skipped-by-reader", lambda log, acks: (log[1:], acks)),
    "a late commit, seen after its successor": ("reordered-log", lambda log, acks: ([*log[:2], log[3], log[2]], acks)),
    "an event seen twice": ("reordered-log", lambda log, acks: ([*log, log[3]], acks)),
    "two events of a stream in the wrong order": (
        "version-gap",
        lambda log, acks: ([replace(log[0], version=2), replace(log[1], version=1), *log[2:]], acks),
    ),
    "a version left out": ("version-gap", lambda log, acks: ([*log[:3], replace(log[3], version=4)], acks)),
    "a version given twice": ("version-gap", lambda log, acks: ([*log[:3], replace(log[3], version=2)], acks)),
    "one event at two positions": (
        "double-effect",
        lambda log, acks: ([*log, Seen(5, B, 2, log[3].event_id, b"5")], acks),
    ),
    "a key acknowledged twice": ("double-effect", lambda log, acks: (log, [*acks, acks[1]])),
    "an acknowledged command that is not there": (
        "lost-ack",
        lambda log, acks: (log, [*acks, an_ack("k9", an_event(5, B, 2))]),
    ),
    "an acknowledged command at another position": (
        "lost-ack",
        lambda log, acks: (log, [acks[0], replace(acks[1], position=4), acks[2]]),
    ),
    "an acknowledged command with another version": (
        "lost-ack",
        lambda log, acks: (log, [acks[0], replace(acks[1], version=2), acks[2]]),
    ),
    "an acknowledged payload that was changed": (
        "lost-ack",
        lambda log, acks: ([*log[:3], replace(log[3], payload=b"changed")], acks),
    ),
    "a command that was rolled back and is there": (
        "phantom",
        lambda log, acks: ([*log, an_event(5, UUID(int=0xC), 1)], acks),
    ),
}


def test_a_log_in_which_every_promise_held_has_no_anomaly() -> None:
    assert check_log(LOG, ACKS) == []


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found_by_its_name(bug: str) -> None:
    name, plant = PLANTED[bug]
    assert name in {anomaly.name for anomaly in check_log(*plant(LOG, ACKS))}


SEQUENCE_TABLE = """
CREATE TABLE planted (
    position bigserial PRIMARY KEY, stream_id uuid NOT NULL, version integer NOT NULL, event_id uuid NOT NULL,
    payload bytea NOT NULL
)
"""
INSERT_PLANTED = "INSERT INTO planted (stream_id, version, event_id, payload) VALUES ($1, 1, $2, '')"
READ_PLANTED = """
SELECT position, stream_id, version, event_id, payload FROM planted
WHERE position > $1
ORDER BY position LIMIT $2
"""
LOCK_WAITERS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""


async def test_positions_from_a_sequence_make_a_polling_reader_skip_what_commits_late(database: Database) -> None:
    first, second, reading = [await asyncpg.connect(database.admin_url) for _ in range(3)]
    reader = LogReader(reading, READ_PLANTED)
    await reading.execute(SEQUENCE_TABLE)

    # given a transaction that took position 1 and dawdles, and one that took 2 and has committed
    late = first.transaction()
    await late.start()
    await first.execute(INSERT_PLANTED, new_id(), new_id())
    await second.execute(INSERT_PLANTED, new_id(), new_id())
    # when the reader polls before and after the late commit
    await reader.poll()
    await late.commit()
    await reader.catch_up()

    # then position 1 is in the table, the reader never saw it, and the check says so
    assert await reading.fetchval("SELECT count(*) FROM planted") == 2
    assert [event.position for event in reader.seen] == [2]
    assert [(each.name, each.detail) for each in check_reading(reader.seen)] == [
        ("skipped-by-reader", "positions 1 to 1")
    ]
    for connection in (first, second, reading):
        await connection.close()


async def test_positions_from_the_append_let_the_same_reader_see_everything(database: Database) -> None:
    first, second, reading = [await asyncpg.connect(database.admin_url) for _ in range(3)]
    reader = LogReader(reading)

    # given the same race: one transaction appends and dawdles, another one appends meanwhile
    late = first.transaction()
    await late.start()
    await append_batch(first, [a_command(key="first")])
    other = asyncio.create_task(append_batch(second, [a_command(key="second")]))
    await eventually(lambda: reading.fetchval(LOCK_WAITERS))
    # when the same reader polls before and after the late commit
    await reader.poll()
    assert reader.seen == []
    await late.commit()
    await other
    await reader.catch_up()

    # then it saw both, in order
    assert list(check_reading(reader.seen)) == []
    assert [event.position for event in reader.seen] == [1, 2]
    for connection in (first, second, reading):
        await connection.close()
