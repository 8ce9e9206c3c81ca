"""What `harbor.append_batch` and the grants guarantee by themselves, whoever calls them."""

import asyncio
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from infra.clock import new_id
from infra.event_store import log_reads, postgres
from infra.event_store.append_batch import append_batch
from infra.event_store.protocol import Appended, Duplicate, WrongExpectedVersion
from infra.postgres.connection import DedicatedConnection
from infra.postgres.pool import connect
from infra.settings import PostgresSettings
from tests.support.event_store.append_commands import a_command
from tests.support.event_store.log_lock import WAITING_FOR_THE_LOG
from tests.support.services.servers import Database
from tests.support.waiting import eventually


@pytest.fixture
async def connection(command_settings: PostgresSettings) -> AsyncIterator[DedicatedConnection]:
    """Return a connection with the session settings of the command service."""
    made = await connect(command_settings, application_name="test-append")
    yield made
    await made.close()


async def test_it_refuses_sessions_in_which_the_append_would_not_be_safe(connection: DedicatedConnection) -> None:
    for isolation in ("repeatable_read", "serializable"):
        with pytest.raises(asyncpg.InvalidTransactionStateError, match="READ COMMITTED"):
            async with connection.transaction(isolation=isolation):
                await append_batch(connection, [a_command()])
    for level in ("off", "local"):
        await connection.execute(f"SET synchronous_commit = {level}")
        with pytest.raises(asyncpg.InvalidTransactionStateError, match=f"synchronous_commit = {level}"):
            await append_batch(connection, [a_command()])


async def test_a_caller_that_waited_for_the_lock_sees_what_its_holder_committed(
    connection: DedicatedConnection, admin: DedicatedConnection, database: Database
) -> None:
    stream = new_id()
    waiter = await asyncpg.connect(database.command_url)
    async with connection.transaction():
        (first,) = await append_batch(connection, [a_command(stream=stream)])
        late = asyncio.create_task(append_batch(waiter, [a_command(stream=stream), a_command()]))
        await eventually(lambda: admin.fetchval(WAITING_FOR_THE_LOG))
    conflict, second = await late

    assert isinstance(first, Appended)
    assert isinstance(second, Appended)
    assert conflict == WrongExpectedVersion(1)
    assert (first.position, second.position) == (1, 2)
    await waiter.close()


async def test_a_batch_that_names_something_twice_is_refused_whole(connection: DedicatedConnection) -> None:
    first = a_command(claim="ref")
    for twin in (a_command(key=first.key), a_command(stream=first.stream_id), a_command(claim="ref")):
        with pytest.raises(asyncpg.UniqueViolationError):
            await append_batch(connection, [first, twin])

    assert await connection.fetch("SELECT FROM harbor.events") == []
    assert await connection.fetch("SELECT FROM harbor.recorded_responses") == []


async def test_a_batch_of_nothing_writes_nothing(connection: DedicatedConnection) -> None:
    assert await append_batch(connection, []) == []

    assert await connection.fetch("SELECT FROM harbor.batches, harbor.recorded_responses") == []


async def test_a_response_from_a_clock_that_was_far_ahead_still_holds_its_key(
    connection: DedicatedConnection, admin: DedicatedConnection
) -> None:
    refused = a_command(events=0)
    await append_batch(connection, [refused])
    await admin.execute("UPDATE harbor.recorded_responses SET recorded_at = recorded_at + interval '9 days'")
    (outcome,) = await append_batch(connection, [a_command(key=refused.key, response=b"other")])

    assert isinstance(outcome, Duplicate)
    assert outcome.response == refused.response


async def test_a_key_that_is_stored_twice_never_returns_the_response_of_another(
    connection: DedicatedConnection, admin: DedicatedConnection
) -> None:
    doubled = a_command()
    await append_batch(connection, [doubled])
    await admin.execute("INSERT INTO harbor.recorded_responses SELECT * FROM harbor.recorded_responses")

    with pytest.raises(asyncpg.InternalServerError, match="stored twice"):
        await append_batch(connection, [doubled, a_command()])


ONE_HASH = ("order-1/attempt/0000001/", "kbaentw7f2v64lr|It>Y#G|m")
"""Two keys that PostgreSQL's hash does not tell apart."""


@pytest.mark.parametrize("batches", [[[0, 1]], [[0], [1]], [[0], [0, 1]]], ids=["together", "apart", "beside-itself"])
async def test_keys_of_one_hash_are_different_keys(connection: DedicatedConnection, batches: list[list[int]]) -> None:
    both = [a_command(key=key, response=key.encode()) for key in ONE_HASH]
    hashes = await connection.fetch("SELECT DISTINCT hashtextextended(k, 0) FROM unnest($1::text[]) AS k", ONE_HASH)
    outcomes = [each for batch in batches for each in await append_batch(connection, [both[index] for index in batch])]
    again = await append_batch(connection, both)

    assert len(hashes) == 1
    assert [each.position for each in outcomes if isinstance(each, Appended)] == [1, 2]
    assert [each.response for each in again if isinstance(each, Duplicate)] == [each.response for each in both]


async def test_recorded_at_is_when_it_was_written_and_not_when_its_transaction_began(
    connection: DedicatedConnection,
) -> None:
    for _ in range(2):  # on an empty log, and behind a batch
        async with connection.transaction():
            began = await connection.fetchval("SELECT now()")
            later = await connection.fetchval("SELECT clock_timestamp()")
            (outcome,) = await append_batch(connection, [a_command()])

        assert isinstance(outcome, Appended)
        assert began < later <= outcome.recorded_at


async def test_recorded_at_does_not_follow_a_clock_that_was_set_back(
    connection: DedicatedConnection, admin: DedicatedConnection
) -> None:
    await append_batch(connection, [a_command()])
    future = await admin.fetchval("UPDATE harbor.batches SET committed_at = now() + '1 hour' RETURNING committed_at")
    (outcome,) = await append_batch(connection, [a_command()])

    assert isinstance(outcome, Appended)
    assert outcome.recorded_at == future


FORBIDDEN = [
    "INSERT INTO harbor.events SELECT * FROM harbor.events",
    "INSERT INTO harbor.events (position) OVERRIDING SYSTEM VALUE VALUES (7)",
    "UPDATE harbor.events SET payload = ''",
    "DELETE FROM harbor.events",
    "TRUNCATE harbor.events",
    "DELETE FROM harbor.events_000000",
    "ALTER TABLE harbor.events DISABLE TRIGGER ALL",
    "DROP TABLE harbor.events",
    "INSERT INTO harbor.streams SELECT * FROM harbor.streams",
    "UPDATE harbor.streams SET version = 9",
    "DELETE FROM harbor.streams",
    "INSERT INTO harbor.batches VALUES (0, 5, 5, 1, now())",
    "UPDATE harbor.batches SET last_position = 9",
    "DELETE FROM harbor.batches",
    "TRUNCATE harbor.batches",
    "UPDATE harbor.recorded_responses SET response = ''",
    "DELETE FROM harbor.recorded_responses",
    "DELETE FROM harbor.claims",
    "INSERT INTO harbor.claims VALUES ('a', 'b', gen_random_uuid())",
    "CREATE TABLE harbor.mine (a int)",
    "CREATE OR REPLACE FUNCTION harbor.maintain_partitions() RETURNS void LANGUAGE sql AS ''",
    "SELECT harbor.add_partition('events', 'mine', 'position', '1', '2')",
    "SET ROLE harbor_owner",
    "SET session_replication_role = replica",
]


async def test_no_service_login_can_write_past_the_append(database: Database) -> None:
    for url in (database.command_url, database.worker_url, database.query_url):
        session = await asyncpg.connect(url)
        assert [statement for statement in FORBIDDEN if not await is_denied(session, statement)] == []
        await session.close()


async def test_only_the_command_service_may_append_and_read_responses(database: Database) -> None:
    for url in (database.worker_url, database.query_url):
        session = await asyncpg.connect(url)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await append_batch(session, [a_command()])
        assert await is_denied(session, "SELECT response FROM harbor.recorded_responses")
        await session.fetch("SELECT FROM harbor.events, harbor.streams, harbor.batches")
        await session.close()


READS: tuple[tuple[str, tuple[object, ...], str], ...] = (
    (postgres.READ_STREAM, (new_id(), "acme.test"), "stream_id"),
    (log_reads.READ_STREAMS, ([new_id(), new_id()],), "stream_id"),
    (postgres.READ_ALL, (0, 0, 100), "position"),
    (postgres.HEAD, (0,), "log_id"),
)


async def test_reads_planned_on_an_empty_log_use_an_index(connection: DedicatedConnection) -> None:
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    for sql, arguments, index in READS:
        for _ in range(7):  # past the five custom plans, had they been allowed
            await connection.fetch(sql, *arguments)
        plan = await connection.fetchval(f"EXPLAIN (FORMAT json) {sql}", *arguments)

        nodes = scans(json.loads(plan)[0]["Plan"])
        assert nodes
        assert not any("Seq" in kind for kind, _ in nodes), nodes
        assert all(index in condition for kind, condition in nodes if "Index" in kind), nodes


async def test_the_append_looks_up_by_index_although_its_plans_were_made_on_empty_tables(
    connection: DedicatedConnection, admin: DedicatedConnection
) -> None:
    for _ in range(9):
        batch = [a_command(claim=str(new_id())) for _ in range(50)]
        await append_batch(connection, batch)
        await append_batch(connection, [a_command(stream=each.stream_id, expected=1, events=2) for each in batch])
    await append_batch(connection, [a_command(expected=3), a_command(events=0)])  # one is refused, one has no event
    await connection.execute("SELECT pg_stat_force_next_flush()")
    rows = await eventually(lambda: reported_scans(admin))

    assert {row["relname"]: row["seq_tup_read"] for row in rows if row["seq_tup_read"]} == {}
    # An index walked from end to end is no better. 450 streams were updated, and each is looked for twice.
    assert {row["relname"]: row["entries"] for row in rows if row["entries"] > 2 * 450} == {}


async def is_denied(connection: DedicatedConnection, statement: str) -> bool:
    """Return whether PostgreSQL refuses the statement for want of privilege."""
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


async def reported_scans(admin: DedicatedConnection) -> list[asyncpg.Record]:
    """Return the scan counters of the event store's tables once the appending session has reported them."""
    rows = await admin.fetch(
        "SELECT relname, seq_tup_read, idx_scan, (SELECT sum(idx_tup_read)::integer FROM pg_stat_user_indexes i"
        " WHERE i.relid = t.relid) AS entries FROM pg_stat_user_tables t WHERE schemaname = 'harbor'"
        " AND (relname IN ('streams', 'batches', 'claims') OR relname ~ '^(events|recorded_responses)_[0-9]')"
    )
    reported = any(row["relname"] == "batches" and (row["idx_scan"] or 0) >= 19 for row in rows)
    return list(rows) if reported else []


def scans(node: dict[str, object]) -> list[tuple[str, str]]:
    """Return (node type, index condition) of every scan in a plan."""
    children = node.get("Plans", [])
    assert isinstance(children, list)
    found = [scan for child in children for scan in scans(child)]
    kind = str(node["Node Type"])
    return [(kind, str(node.get("Index Cond", ""))), *found] if "Scan" in kind else found
