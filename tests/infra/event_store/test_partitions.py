"""Partitions exist ahead, expired answers go, and an append heals a maintenance that never ran."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from infra.event_store.metrics import EVENTS_LEFT, RESPONSES_LEFT_S
from infra.event_store.partitions import EVENTS_ALARM, RESPONSES_ALARM, PartitionsReport, keep_partitions, maintain
from infra.event_store.postgres import PostgresEventStore
from infra.event_store.protocol import Appended
from infra.postgres.connection import DedicatedConnection
from infra.postgres.pool import Pool
from tests.support.event_store.append_commands import a_command
from tests.support.services.servers import Database
from tests.support.waiting import eventually

PARTITIONS = """
SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::text::regclass ORDER BY 1
"""

SHAPES = """
SELECT relname AS name, ARRAY[
    'owner ' || relowner::regrole, 'privileges ' || coalesce(relacl::text, 'of the owner'),
    'storage ' || coalesce(ARRAY(SELECT unnest(reloptions) ORDER BY 1)::text, 'as usual'),
    format('kept %s', relpersistence)
] || ARRAY(
    SELECT format('%s %s %s %s %s %s', attname, format_type(atttypid, atttypmod), attnotnull, attstorage,
                  attcollation::regcollation, pg_get_expr(adbin, adrelid))
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = inhrelid AND attnum > 0 ORDER BY attnum
) || ARRAY(
    SELECT regexp_replace(pg_get_indexdef(indexrelid), ' INDEX \\S+ ON \\S+ ', ' INDEX ON ')
    FROM pg_index WHERE indrelid = inhrelid ORDER BY 1
) || ARRAY(
    SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = inhrelid ORDER BY 1
) || ARRAY(
    SELECT format('%s %s', tgname, tgenabled) FROM pg_trigger WHERE tgrelid = inhrelid ORDER BY 1
) AS shape
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = $1::text::regclass ORDER BY relname
"""
"""Of each partition: owner, privileges, storage, columns, indexes, constraints and triggers; no name of its own."""


async def test_partitions_exist_two_steps_ahead_and_maintaining_again_changes_nothing(command_pool: Pool) -> None:
    first = await maintain(command_pool)
    second = await maintain(command_pool)

    assert first.events_left == second.events_left == 29_999_999
    assert timedelta(days=14) <= second.responses_left <= timedelta(days=21)
    assert (first.dropped, second.dropped) == ((), ())
    assert not second.is_alarming
    assert EVENTS_LEFT._value.get() == second.events_left
    assert RESPONSES_LEFT_S._value.get() == second.responses_left.total_seconds()


async def test_the_next_partitions_are_made_when_the_log_moves_on(command_pool: Pool, database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("INSERT INTO harbor.batches VALUES (0, 25000000, 25000000, 1, now())")

    report = await maintain(command_pool)

    assert report.events_left == 24_999_999
    names = [row[0] for row in await admin.fetch(PARTITIONS, "harbor.events")]
    assert names == [f"harbor.events_00000{number}" for number in range(5)]
    await admin.close()


@pytest.mark.parametrize(
    ("parent", "looked_up_by"),
    [
        ("events", "CREATE UNIQUE INDEX ON USING btree (stream_id, tenant_id, version)"),
        ("recorded_responses", "CREATE INDEX ON USING btree (hashtextextended(key, (0)::bigint))"),
    ],
)
async def test_partitions_made_later_are_like_those_of_the_migration(
    command_pool: Pool, database: Database, parent: str, looked_up_by: str
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    of_the_migration = await admin.fetch(SHAPES, f"harbor.{parent}")
    for name, _ in of_the_migration[1:]:
        await admin.execute(f"DROP TABLE harbor.{name}")
    await maintain(command_pool)
    made_later = await admin.fetch(SHAPES, f"harbor.{parent}")
    await admin.close()

    assert len(of_the_migration) == 3
    assert made_later == of_the_migration
    assert [shape for _, shape in made_later] == [made_later[0]["shape"]] * 3
    assert looked_up_by in made_later[0]["shape"]


async def test_appends_go_on_across_the_edge_of_a_partition(
    postgres_store: PostgresEventStore, database: Database
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("INSERT INTO harbor.batches VALUES (0, 9999998, 9999998, 1, now())")
    command = a_command(events=4)

    outcome = await postgres_store.append(command)

    assert isinstance(outcome, Appended)
    events = await postgres_store.read_stream(command.tenant_id, command.stream_id)
    assert [event.position for event in events] == [9999999, 10000000, 10000001, 10000002]
    assert await postgres_store.read_all(9999998, 10) == events
    await admin.close()


async def test_answers_are_kept_for_a_week_at_least_and_dropped_by_partition(
    command_pool: Pool, database: Database
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    monday = await admin.fetchval("SELECT date_trunc('week', now() AT TIME ZONE 'UTC')::date")
    for weeks in (1, 2, 3):
        start = monday - timedelta(weeks=weeks)
        await admin.execute(
            "SELECT harbor.add_partition('recorded_responses', $1, 'recorded_at', $2, $3)",
            f"recorded_responses_{start:%Y%m%d}",
            f"{start}+00",
            f"{start + timedelta(weeks=1)}+00",
        )

    report = await maintain(command_pool)

    gone = [f"recorded_responses_{monday - timedelta(weeks=weeks):%Y%m%d}" for weeks in (3, 2)]
    assert list(report.dropped) == gone
    left = [row[0] for row in await admin.fetch(PARTITIONS, "harbor.recorded_responses")]
    assert f"harbor.recorded_responses_{monday - timedelta(weeks=1):%Y%m%d}" in left
    await admin.close()


async def test_an_append_without_a_partition_makes_it_and_succeeds(
    postgres_store: PostgresEventStore, database: Database
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    for (name,) in await admin.fetch(PARTITIONS, "harbor.recorded_responses"):
        await admin.execute(f"DROP TABLE {name}")

    assert isinstance(await postgres_store.append(a_command()), Appended)
    await admin.close()


async def test_the_maintenance_task_survives_a_failure(command_pool: Pool, database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("REVOKE EXECUTE ON FUNCTION harbor.maintain_partitions FROM harbor_command")
    task = asyncio.create_task(keep_partitions(command_pool, every_s=0.01))
    await asyncio.sleep(0)
    EVENTS_LEFT.set(0)
    await admin.execute("GRANT EXECUTE ON FUNCTION harbor.maintain_partitions TO harbor_command")

    await eventually(lambda: EVENTS_LEFT._value.get() > 0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await admin.close()


@pytest.mark.parametrize(
    ("events_left", "responses_left", "is_alarming"),
    [
        (EVENTS_ALARM, RESPONSES_ALARM, False),
        (EVENTS_ALARM - 1, RESPONSES_ALARM, True),
        (EVENTS_ALARM, RESPONSES_ALARM - timedelta(seconds=1), True),
    ],
)
def test_a_short_supply_of_partitions_is_an_alarm(
    events_left: int, responses_left: timedelta, *, is_alarming: bool
) -> None:
    assert PartitionsReport(events_left, responses_left, ()).is_alarming is is_alarming


async def attach(admin: DedicatedConnection, parent: str, name: str, bounds: str) -> None:
    """Do what an operator may do: make a partition of a name and bounds of his own."""
    await admin.execute(f"CREATE TABLE harbor.{name} PARTITION OF harbor.{parent} FOR VALUES {bounds}")
    await admin.execute(f"ALTER TABLE harbor.{name} OWNER TO harbor_owner")


async def test_expired_answers_are_known_by_the_bounds_of_their_partition_and_not_by_its_name(
    command_pool: Pool, database: Database
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    monday = await admin.fetchval("SELECT date_trunc('week', now() AT TIME ZONE 'UTC')::date")
    early, late, far = (f"'{monday + timedelta(weeks=weeks)} 00:00+00'" for weeks in (-3, -1, 3))
    await attach(admin, "recorded_responses", "recorded_responses_oldest", f"FROM (MINVALUE) TO ({early})")
    await attach(admin, "recorded_responses", "recorded_responses_20990101", f"FROM ({early}) TO ({late})")
    await attach(admin, "recorded_responses", "recorded_responses_20000101", f"FROM ({late}) TO ('{monday} 00:00+00')")
    await attach(admin, "recorded_responses", "recorded_responses_all_to_come", f"FROM ({far}) TO (MAXVALUE)")

    report = await maintain(command_pool)

    assert list(report.dropped) == ["recorded_responses_oldest", "recorded_responses_20990101"]
    left = {row[0] for row in await admin.fetch(PARTITIONS, "harbor.recorded_responses")}
    assert {"harbor.recorded_responses_20000101", "harbor.recorded_responses_all_to_come"} < left
    assert report.responses_left > timedelta(days=14)
    await admin.close()


async def test_an_expired_partition_that_is_not_ours_to_drop_stops_nothing(
    command_pool: Pool, database: Database
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await attach(
        admin,
        "recorded_responses",
        "recorded_responses_viewed",
        "FROM ('2020-01-06 00:00+00') TO ('2020-01-13 00:00+00')",
    )
    await attach(
        admin,
        "recorded_responses",
        "recorded_responses_foreign",
        "FROM ('2020-01-13 00:00+00') TO ('2020-01-20 00:00+00')",
    )
    await attach(
        admin,
        "recorded_responses",
        "recorded_responses_older",
        "FROM ('2020-01-20 00:00+00') TO ('2020-01-27 00:00+00')",
    )
    await admin.execute("CREATE VIEW public.viewed AS SELECT key FROM harbor.recorded_responses_viewed")
    await admin.execute("CREATE SCHEMA archive")
    await admin.execute("ALTER TABLE harbor.recorded_responses_foreign OWNER TO CURRENT_USER")
    await admin.execute("ALTER TABLE harbor.recorded_responses_foreign SET SCHEMA archive")
    await admin.execute("INSERT INTO harbor.batches VALUES (0, 25000000, 25000000, 1, now())")

    report = await maintain(command_pool)

    assert (report.events_left, report.dropped) == (24_999_999, ("recorded_responses_older",))
    await admin.close()


async def test_a_partition_of_the_log_is_what_it_holds_whatever_its_name(
    command_pool: Pool, database: Database
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("ALTER TABLE harbor.events_000000 RENAME TO events_old")
    await admin.execute("ALTER TABLE harbor.events_000001 RENAME TO events_000000")
    await admin.execute("INSERT INTO harbor.batches VALUES (0, 15000000, 15000000, 1, now())")

    report = await maintain(command_pool)

    assert report.events_left == 24_999_999
    names = [row[0] for row in await admin.fetch(PARTITIONS, "harbor.events")]
    assert names == ["harbor.events_000000", "harbor.events_000002", "harbor.events_000003", "harbor.events_old"]
    await admin.close()


async def test_what_partitions_of_other_bounds_leave_open_is_filled(command_pool: Pool, database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("DROP TABLE harbor.events_000001, harbor.events_000002")
    await attach(admin, "events", "events_000001", "FROM (13000000) TO (14000000)")
    await attach(admin, "events", "events_tail", "FROM (25000000) TO (MAXVALUE)")

    report = await maintain(command_pool)
    again = await maintain(command_pool)

    bounds = await admin.fetch(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class JOIN pg_inherits ON oid = inhrelid"
        " WHERE inhparent = 'harbor.events'::regclass"
    )
    assert sorted(row[0] for row in bounds) == [
        "FOR VALUES FROM ('0') TO ('10000000')",
        "FOR VALUES FROM ('10000000') TO ('13000000')",
        "FOR VALUES FROM ('13000000') TO ('14000000')",
        "FOR VALUES FROM ('14000000') TO ('20000000')",
        "FOR VALUES FROM ('20000000') TO ('25000000')",
        "FOR VALUES FROM ('25000000') TO (MAXVALUE)",
    ]
    assert report.events_left == again.events_left == 2**63 - 2
    await admin.close()
