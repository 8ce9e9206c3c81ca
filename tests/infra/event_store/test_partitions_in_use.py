"""Partitions are made and dropped while the log is in use: nobody waits, nothing is lost, the alarm is right."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr

from infra import clock
from infra.event_store.append_batch import append_batch
from infra.event_store.partitions import RESPONSES_ALARM, PartitionsReport, keep_partitions, look, maintain
from infra.event_store.postgres import PostgresEventStore
from infra.event_store.protocol import Appended, Duplicate
from infra.postgres.connection import DedicatedConnection
from infra.postgres.pool import Pool, open_pool
from infra.settings import PostgresSettings
from tests.support.event_store.append_commands import a_command
from tests.support.services.servers import Database
from tests.support.waiting import eventually

HELD_UP_S = 40.0
"""How long a maintainer of these tests waits for a lock, unless its function says less."""
PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = $1::text::regclass"
ATTACHED = "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = $1::text::regclass)"


@pytest.fixture
async def patient_pool(database: Database, admin: DedicatedConnection) -> AsyncIterator[Pool]:
    """Return connections whose maintainers, when they wait for a lock, wait long enough to be noticed."""
    await admin.execute(f"ALTER FUNCTION harbor.maintain_partitions SET lock_timeout = '{HELD_UP_S:g}s'")
    settings = PostgresSettings(url=SecretStr(database.command_url), command_timeout_s=3 * HELD_UP_S)
    async with await open_pool(settings, application_name="test-command") as pool:
        yield pool


async def expire_a_partition(admin: DedicatedConnection) -> str:
    """Make a partition of responses of three weeks ago and return its name."""
    monday = await admin.fetchval("SELECT date_trunc('week', now() AT TIME ZONE 'UTC')::date - 21")
    name = f"recorded_responses_{monday:%Y%m%d}"
    bounds = f"{monday}+00", f"{monday + timedelta(weeks=1)}+00"
    await admin.execute("SELECT harbor.add_partition('recorded_responses', $1, 'recorded_at', $2, $3)", name, *bounds)
    return name


async def test_appends_cross_the_edge_while_partitions_are_made_and_dropped(
    patient_pool: Pool, admin: DedicatedConnection
) -> None:
    await expire_a_partition(admin)
    await admin.execute("INSERT INTO harbor.batches VALUES (0, 9999900, 9999900, 1, now())")
    slowest_s = 0.0
    positions: list[int] = []

    async def append(calls: int) -> None:
        nonlocal slowest_s
        async with patient_pool.acquire() as connection:
            for _ in range(calls):
                started_s = clock.monotonic_s()
                for outcome in await append_batch(connection, [a_command() for _ in range(3)]):
                    assert isinstance(outcome, Appended)
                    positions.append(outcome.position)
                slowest_s = max(slowest_s, clock.monotonic_s() - started_s)

    async def keep_maintaining() -> None:
        for _ in range(10):
            await maintain(patient_pool)
            await admin.execute("DROP TABLE IF EXISTS harbor.events_000003")  # made again by the next
            await expire_a_partition(admin)

    await asyncio.gather(append(60), append(60), keep_maintaining())

    assert sorted(positions) == list(range(9_999_901, 9_999_901 + 360))
    read = await admin.fetch("SELECT tableoid::regclass::text AS partition, count(*) FROM harbor.events GROUP BY 1")
    assert sorted(map(tuple, read)) == [("harbor.events_000000", 99), ("harbor.events_000001", 261)]
    assert slowest_s < HELD_UP_S / 2


async def test_many_maintainers_at_once_make_each_partition_once(
    command_pool: Pool, admin: DedicatedConnection
) -> None:
    expired = await expire_a_partition(admin)
    await admin.execute("INSERT INTO harbor.batches VALUES (0, 25000000, 25000000, 1, now())")

    reports = await asyncio.gather(*(maintain(command_pool) for _ in range(8)))

    assert {report.events_left for report in reports} == {24_999_999}
    assert [name for report in reports for name in report.dropped] == [expired]
    assert await admin.fetchval(PARTITIONS, "harbor.events") == 5


async def test_a_reader_who_stays_delays_the_drop_and_neither_appends_nor_new_partitions(
    patient_pool: Pool, admin: DedicatedConnection
) -> None:
    expired = await expire_a_partition(admin)
    await admin.execute("INSERT INTO harbor.batches VALUES (0, 25000000, 25000000, 1, now())")
    async with patient_pool.acquire() as reader, patient_pool.acquire() as writer:
        dump = reader.transaction()
        await dump.start()
        await reader.fetch("SELECT FROM harbor.recorded_responses LIMIT 1")
        maintaining = asyncio.create_task(maintain(patient_pool))
        slowest_s = 0.0
        while not maintaining.done():
            started_s = clock.monotonic_s()
            await append_batch(writer, [a_command()])
            slowest_s = max(slowest_s, clock.monotonic_s() - started_s)
        during = await maintaining
        await dump.rollback()
    after = await maintain(patient_pool)

    assert (during.dropped, after.dropped) == ((), (expired,))
    assert during.events_left > 10_000_000
    assert await admin.fetchval(PARTITIONS, "harbor.events") == 5
    assert slowest_s < HELD_UP_S / 2


async def test_a_detached_partition_is_reported_missing_and_attached_again(
    command_pool: Pool, admin: DedicatedConnection
) -> None:
    await admin.execute("ALTER TABLE harbor.events DETACH PARTITION harbor.events_000001")

    missed = await look(command_pool)
    report = await maintain(command_pool)

    assert (missed.events_left, missed.is_alarming) == (9_999_999, False)
    assert report.events_left == 29_999_999
    assert await admin.fetchval(ATTACHED, "harbor.events_000001")


async def test_responses_are_counted_to_the_first_missing_week(command_pool: Pool, admin: DedicatedConnection) -> None:
    for weeks in range(3):
        now = await admin.fetchval("SELECT now()")
        monday = await admin.fetchval("SELECT date_trunc('week', $1::timestamptz, 'UTC')", now)
        name = f"recorded_responses_{monday + timedelta(weeks=weeks):%Y%m%d}"
        await admin.execute(f"ALTER TABLE harbor.recorded_responses DETACH PARTITION harbor.{name}")

        missed = await look(command_pool)
        report = await maintain(command_pool)

        left = monday + timedelta(weeks=weeks) - now if weeks else timedelta(0)
        assert timedelta(0) <= left - missed.responses_left < timedelta(minutes=1)
        assert missed.is_alarming is (left < RESPONSES_ALARM)
        assert report.responses_left >= timedelta(days=14)
        assert await admin.fetchval(ATTACHED, f"harbor.{name}")


async def test_the_task_reports_the_alarm_where_partitions_cannot_be_made_and_makes_them_when_they_can(
    command_pool: Pool, admin: DedicatedConnection
) -> None:
    await admin.execute("REVOKE EXECUTE ON FUNCTION harbor.maintain_partitions FROM harbor_command")
    await admin.execute("DROP TABLE harbor.events_000001")
    await admin.execute("INSERT INTO harbor.batches VALUES (0, 9500000, 9500000, 1, now())")
    reports: list[PartitionsReport] = []

    task = asyncio.create_task(keep_partitions(command_pool, reports.append, every_s=0.01))
    await eventually(lambda: reports)
    assert (reports[0].events_left, reports[0].is_alarming) == (499_999, True)
    await admin.execute("GRANT EXECUTE ON FUNCTION harbor.maintain_partitions TO harbor_command")
    await eventually(lambda: reports[-1].events_left == 20_499_999)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_each_log_counts_when_the_next_partition_is_due(command_pool: Pool, admin: DedicatedConnection) -> None:
    await admin.execute("INSERT INTO harbor.batches VALUES (0, 5, 5, 1, now()), (1, 12000000, 12000000, 1, now())")
    await admin.execute("INSERT INTO harbor.batches VALUES (3, 7, 7, 1, now())")

    assert await admin.fetchval("SELECT harbor.furthest_position()") == 12_000_000
    assert (await maintain(command_pool)).events_left == 27_999_999


async def test_the_first_moment_of_a_week_belongs_to_its_partition_and_keys_are_known_across_it(
    postgres_store: PostgresEventStore, admin: DedicatedConnection
) -> None:
    # Not the next Monday: it may come while the test runs.
    monday = await admin.fetchval("SELECT date_trunc('week', now(), 'UTC') + interval '14 days'")
    before, ending, at = a_command(), a_command(), a_command()

    await postgres_store.append(before)
    await admin.execute("UPDATE harbor.batches SET committed_at = $1", monday - timedelta(microseconds=1))
    last = await postgres_store.append(ending)
    await admin.execute("UPDATE harbor.batches SET committed_at = $1", monday)
    first = await postgres_store.append(at)
    again = [await postgres_store.append(each) for each in (before, at)]

    assert (recorded_at(last), recorded_at(first)) == (monday - timedelta(microseconds=1), monday)
    assert await keys_of(admin, monday - timedelta(weeks=1)) >= {ending.key}
    assert await keys_of(admin, monday) == {at.key}
    assert all(isinstance(each, Duplicate) for each in again)


async def test_a_sessions_time_zone_moves_no_edge(admin: DedicatedConnection) -> None:
    await admin.execute("SELECT harbor.maintain_partitions()")  # a week may have begun since the template was made
    before = await admin.fetch("SELECT inhrelid::regclass::text FROM pg_inherits ORDER BY 1")
    for zone in ("Pacific/Auckland", "America/Los_Angeles"):
        await admin.execute(f"SET timezone = '{zone}'")
        row = await admin.fetchrow("SELECT * FROM harbor.maintain_partitions()")

        assert row is not None
        assert timedelta(days=14) <= row["responses_left"] <= timedelta(days=21)
        assert await admin.fetch("SELECT inhrelid::regclass::text FROM pg_inherits ORDER BY 1") == before


def recorded_at(outcome: object) -> datetime:
    """Return when it was appended."""
    assert isinstance(outcome, Appended)
    return outcome.recorded_at


async def keys_of(admin: DedicatedConnection, monday: datetime) -> set[str]:
    """Return the keys in the partition of a week."""
    return {row["key"] for row in await admin.fetch(f"SELECT key FROM harbor.recorded_responses_{monday:%Y%m%d}")}
