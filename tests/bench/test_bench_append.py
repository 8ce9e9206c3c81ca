"""The programs that look into the append: the copy that measures itself, the filled log, and the space it needs."""

import io

import asyncpg
import click
import pytest
from rich.console import Console

from tests.bench import append_decay
from tests.bench.append_marks import CLOCK, UnknownShapeError, marked
from tests.bench.append_profile import profile
from tests.bench.model import Part
from tests.bench.tables import inside
from tests.support.services.servers import Database, PostgresCluster

DEFINITION = """CREATE OR REPLACE FUNCTION harbor.append_batch(a integer)
AS $function$
DECLARE
    v integer;
BEGIN
    -- Why the lock.
    PERFORM pg_advisory_xact_lock(1, 2);
    IF a > 1 THEN
        INSERT INTO harbor.events (position) -- a remark
        SELECT a;
    END IF;
    RETURN QUERY SELECT 1;
    RETURN;
END
$function$
"""


def test_each_statement_of_the_copy_stands_between_two_readings() -> None:
    copy = marked(DEFINITION, CLOCK)

    assert copy.names == ("take the lock", "insert events", "return the outcomes")
    assert copy.sql.startswith("CREATE OR REPLACE FUNCTION harbor.append_batch_marked(a integer)")
    lines = [line.strip() for line in copy.sql.splitlines()]
    begun = lines.index("v_begun[2] := clock_timestamp();")
    assert lines[begun + 1 : begun + 5] == [
        "INSERT INTO harbor.events (position) -- a remark",
        "SELECT a;",
        "v_ended[2] := clock_timestamp();",
        "END IF;",
    ]
    assert lines[lines.index("RETURN;") - 1].startswith("PERFORM set_config('bench.marks'")


def test_a_function_of_another_shape_is_not_measured_in_silence() -> None:
    with pytest.raises(UnknownShapeError):
        marked("CREATE FUNCTION f() AS $function$\nBEGIN\n    NULL;\nEND\n$function$", CLOCK)


async def test_the_profile_names_every_statement_of_a_usual_batch(database: Database) -> None:
    parts = await profile(database.admin_url, sizes=(2,))

    named = {part.name for part in parts if part.where == "function"}
    assert {"take the lock", "look up recorded_responses", "insert events, streams, responses", "notify"} <= named
    whole, function = (next(part for part in parts if part.name == name) for name in ("the whole call", "the function"))
    assert whole.us > function.us > 0
    assert function.buffers


def test_the_table_shows_microseconds_and_buffers_per_command() -> None:
    parts = (
        Part(where="function", name="insert events", size=1, us=30.0, buffers=5.0),
        Part(where="function", name="insert events", size=10, us=60.0, buffers=20.0),
        Part(where="call", name="commit", size=10, us=100.0),
    )

    assert inside(parts).rows == (
        ("function", "insert events", "30.00 (5.0)", "6.00 (2.0)"),
        ("call", "commit", "", "10.00"),
    )


async def test_a_filled_log_is_one_the_append_goes_on_with(database: Database) -> None:
    for upto in (3000, 4000):
        await append_decay.fill(database.admin_url, upto, Console(file=io.StringIO()), chunk=1000)
    (case, *_) = await append_decay.round_of({"4,000": database.admin_url}, 0, 0.01)

    admin = await asyncpg.connect(database.admin_url)
    row = await admin.fetchrow(
        "SELECT count(*), max(position), count(DISTINCT stream_id) FROM harbor.events WHERE position <= 4000"
    )
    partitions = await admin.fetchval("SELECT count(DISTINCT tableoid) FROM harbor.recorded_responses")
    await admin.close()
    assert case.runs[0].done > 0
    assert row is not None
    assert tuple(row) == (4000, 4000, 4000)
    assert partitions in (1, 2)  # one in the last moment of a week


def test_the_figures_on_a_full_log_tell_when_they_were_begun(postgres_cluster: PostgresCluster) -> None:
    said = io.StringIO()

    report = append_decay.measure_all(
        postgres_cluster,
        levels=(1000,),
        rounds=1,
        seconds=0.01,
        console=Console(file=said),
        is_forced=True,
        started_at=lambda: "later" if said.getvalue() else "before anything was done",
    )

    assert report.started_at == "before anything was done"
    assert {case.suite for case in report.cases} == {"decay at 1,000"}
    assert {case.target for case in report.cases} == {"empty", "1,000"}


def test_a_disk_that_is_too_small_is_refused_with_one_line() -> None:
    with (
        pytest.raises(click.ClickException, match="GiB of disk") as raised,
        append_decay.cluster_with_space(10**12),
    ):
        pass
    assert "\n" not in raised.value.message
