"""What `harbor.append_batch` and the grants promise by themselves, whoever calls them."""

import asyncio
import json

import asyncpg
import pytest

from infra.clock import new_id
from infra.event_store import postgres
from infra.event_store.append_batch import append_batch
from infra.event_store.protocol import AppendCommand, Appended, Duplicate, WrongExpectedVersion
from infra.postgres.connection import DedicatedConnection
from infra.postgres.pool import Pool
from tests.support.event_store.append_commands import a_command
from tests.support.services.servers import Database
from tests.support.waiting import eventually

WAITING_FOR_THE_LOG = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_it_refuses_other_isolation_levels(command_pool: Pool, isolation: str) -> None:
    async with command_pool.acquire() as connection:
        with pytest.raises(asyncpg.InvalidTransactionStateError, match="READ COMMITTED"):
            async with connection.transaction(isolation=isolation):  # type: ignore[arg-type]  # a literal per case
                await append_batch(connection, [a_command()])


@pytest.mark.parametrize("level", ["off", "local"])
async def test_it_refuses_commits_that_do_not_wait_for_the_disk(command_pool: Pool, level: str) -> None:
    async with command_pool.acquire() as connection:
        await connection.execute(f"SET synchronous_commit = {level}")
        with pytest.raises(asyncpg.InvalidTransactionStateError, match=f"synchronous_commit = {level}"):
            await append_batch(connection, [a_command()])


async def test_a_caller_that_waited_for_the_lock_sees_what_its_holder_committed(
    command_pool: Pool, database: Database
) -> None:
    stream = new_id()
    watcher = await asyncpg.connect(database.admin_url)
    async with command_pool.acquire() as holder, command_pool.acquire() as waiter:
        transaction = holder.transaction()
        await transaction.start()
        (first,) = await append_batch(holder, [a_command(stream=stream)])
        late = asyncio.create_task(append_batch(waiter, [a_command(stream=stream), a_command()]))
        await eventually(lambda: watcher.fetchval(WAITING_FOR_THE_LOG))
        await transaction.commit()
        conflict, second = await late

    assert isinstance(first, Appended)
    assert isinstance(second, Appended)
    assert conflict == WrongExpectedVersion(1)
    assert (first.position, second.position) == (1, 2)
    await watcher.close()


async def test_a_rolled_back_batch_leaves_its_positions_to_the_next(command_pool: Pool) -> None:
    async with command_pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await append_batch(connection, [a_command(events=5)])
        await transaction.rollback()

        (outcome,) = await append_batch(connection, [a_command()])

    assert isinstance(outcome, Appended)
    assert outcome.position == 1


TWICE = a_command()


@pytest.mark.parametrize(
    "twin",
    [
        a_command(key=TWICE.key),
        a_command(stream=TWICE.stream_id),
        a_command(claim="ref"),
    ],
    ids=["key", "stream", "claim"],
)
async def test_a_batch_that_names_something_twice_is_refused_whole(command_pool: Pool, twin: AppendCommand) -> None:
    async with command_pool.acquire() as connection:
        with pytest.raises(asyncpg.UniqueViolationError):
            await append_batch(connection, [TWICE._replace(claim="ref"), twin])

        assert await connection.fetchval("SELECT count(*) FROM harbor.events") == 0


async def test_a_batch_of_nothing_writes_nothing(command_pool: Pool) -> None:
    async with command_pool.acquire() as connection:
        assert await append_batch(connection, []) == []

        assert await connection.fetch("SELECT FROM harbor.batches, harbor.recorded_responses") == []


async def test_an_answer_from_a_clock_that_was_far_ahead_still_holds_its_key(
    command_pool: Pool, database: Database
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    refused = a_command(events=0)
    async with command_pool.acquire() as connection:
        await append_batch(connection, [refused])
        await admin.execute("UPDATE harbor.recorded_responses SET recorded_at = recorded_at + interval '9 days'")
        (outcome,) = await append_batch(connection, [a_command(key=refused.key, response=b"other")])

    assert isinstance(outcome, Duplicate)
    assert outcome.response == refused.response
    await admin.close()


async def test_a_key_that_is_stored_twice_never_gives_anybody_the_answer_of_another(
    command_pool: Pool, database: Database
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    doubled = a_command()
    async with command_pool.acquire() as connection:
        await append_batch(connection, [doubled])
        await admin.execute("INSERT INTO harbor.recorded_responses SELECT * FROM harbor.recorded_responses")

        with pytest.raises(asyncpg.InternalServerError, match="stored twice"):
            await append_batch(connection, [doubled, a_command()])
    await admin.close()


ONE_HASH = ("order-1/attempt/0000001/", "kbaentw7f2v64lr|It>Y#G|m")
"""Two keys that PostgreSQL's hash does not tell apart."""


@pytest.mark.parametrize("batches", [[[0, 1]], [[0], [1]], [[0], [0, 1]]], ids=["together", "apart", "beside-itself"])
async def test_keys_of_one_hash_are_different_keys(command_pool: Pool, batches: list[list[int]]) -> None:
    both = [a_command(key=key, response=key.encode()) for key in ONE_HASH]
    async with command_pool.acquire() as connection:
        hashes = await connection.fetch("SELECT DISTINCT hashtextextended(k, 0) FROM unnest($1::text[]) AS k", ONE_HASH)
        outcomes = [
            each for batch in batches for each in await append_batch(connection, [both[place] for place in batch])
        ]
        again = await append_batch(connection, both)

    assert len(hashes) == 1
    assert [each.position for each in outcomes if isinstance(each, Appended)] == [1, 2]
    assert [each.response for each in again if isinstance(each, Duplicate)] == [each.response for each in both]


@pytest.mark.parametrize("before", [0, 1])
async def test_recorded_at_is_when_it_was_written_and_not_when_its_transaction_began(
    command_pool: Pool, before: int
) -> None:
    async with command_pool.acquire() as connection:
        for _ in range(before):
            await append_batch(connection, [a_command()])
        async with connection.transaction():
            began = await connection.fetchval("SELECT now()")
            later = await connection.fetchval("SELECT clock_timestamp()")
            (outcome,) = await append_batch(connection, [a_command()])

    assert isinstance(outcome, Appended)
    assert began < later <= outcome.recorded_at


async def test_recorded_at_does_not_follow_a_clock_that_was_set_back(command_pool: Pool, database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    async with command_pool.acquire() as connection:
        await append_batch(connection, [a_command()])
        future = await admin.fetchval(
            "UPDATE harbor.batches SET committed_at = now() + '1 hour' RETURNING committed_at"
        )
        (outcome,) = await append_batch(connection, [a_command()])

    assert isinstance(outcome, Appended)
    assert outcome.recorded_at == future
    await admin.close()


FORBIDDEN = [
    "INSERT INTO harbor.events SELECT * FROM harbor.events",
    "INSERT INTO harbor.events (position) OVERRIDING SYSTEM VALUE VALUES (7)",
    "UPDATE harbor.events SET payload = ''",
    "DELETE FROM harbor.events",
    "TRUNCATE harbor.events",
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


@pytest.mark.parametrize("login", ["command_url", "worker_url", "query_url"])
async def test_no_service_login_can_write_past_the_append(database: Database, login: str) -> None:
    connection = await asyncpg.connect(getattr(database, login))
    allowed = [statement for statement in FORBIDDEN if not await is_denied(connection, statement)]
    await connection.close()

    assert allowed == []


@pytest.mark.parametrize("login", ["worker_url", "query_url"])
async def test_only_the_command_service_may_append(database: Database, login: str) -> None:
    connection = await asyncpg.connect(getattr(database, login))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await append_batch(connection, [a_command()])
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("SELECT response FROM harbor.recorded_responses")
    await connection.fetch("SELECT FROM harbor.events, harbor.streams, harbor.batches")
    await connection.close()


async def test_a_partition_of_the_log_is_as_closed_as_the_log(database: Database) -> None:
    connection = await asyncpg.connect(database.command_url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("DELETE FROM harbor.events_000000")
    await connection.close()


@pytest.mark.parametrize(
    ("sql", "arguments", "index"),
    [
        (postgres.READ_STREAM, (new_id(), "acme.test", 1, 9), "stream_id"),
        (postgres.READ_STREAMS, ([new_id(), new_id()], 9), "stream_id"),
        (postgres.READ_ALL, (0, 0, 100), "position"),
        (postgres.HEAD, (0,), "log_id"),
    ],
    ids=["read_stream", "read_streams", "read_all", "head"],
)
async def test_reads_planned_on_an_empty_log_use_an_index(
    command_pool: Pool, sql: str, arguments: tuple[object, ...], index: str
) -> None:
    async with command_pool.acquire() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for _ in range(7):  # past the five custom plans, had they been allowed
            await connection.fetch(sql, *arguments)
        plan = await connection.fetchval(f"EXPLAIN (FORMAT json) {sql}", *arguments)

        nodes = scans(json.loads(plan)[0]["Plan"])
        assert nodes
        assert not any("Seq" in kind for kind, _ in nodes), nodes
        assert all(index in condition for kind, condition in nodes if "Index" in kind), nodes


async def test_the_append_looks_up_by_index_although_its_plans_were_made_on_empty_tables(
    command_pool: Pool, database: Database
) -> None:
    async with command_pool.acquire() as connection:
        for _ in range(9):
            batch = [a_command(claim=str(new_id())) for _ in range(50)]
            await append_batch(connection, batch)
            await append_batch(connection, [a_command(stream=each.stream_id, expected=1, events=2) for each in batch])
        await append_batch(connection, [a_command(expected=3), a_command(events=0)])  # the general path
        await connection.execute("SELECT pg_stat_force_next_flush()")
        admin = await asyncpg.connect(database.admin_url)
        rows = await eventually(lambda: reported_scans(admin))

    assert {row["relname"]: row["seq_tup_read"] for row in rows if row["seq_tup_read"]} == {}
    # An index walked from end to end is no better. 450 commands were updated, and each is looked for twice.
    assert {row["relname"]: row["entries"] for row in rows if row["entries"] > 2 * 450} == {}
    await admin.close()


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
