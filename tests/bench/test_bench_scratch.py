"""What writes events that nobody can read asks for a database of its own: a log can only be added to."""

import asyncpg
import pytest
from click.testing import CliRunner, Result

from infra.event_store.append_batch import append_batch
from tests.bench import append, append_profile, scratch
from tests.bench.append import SMALL, a_create
from tests.support.services.command_service import partner_key
from tests.support.services.servers import Database, PostgresCluster, run

PROGRAMS = pytest.mark.parametrize("program", [append.main, append_profile.main], ids=["append", "append_profile"])


def measure(program: object, url: str) -> Result:
    """Run a program for a moment."""
    if program is append.main:
        return CliRunner().invoke(append.main, [url, "--runs", "1", "--seconds", "0.01"])
    return CliRunner().invoke(append_profile.main, ["--url", url])


async def positions(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        last: int = await connection.fetchval("SELECT coalesce(max(position), 0) FROM harbor.events")
    finally:
        await connection.close()
    return last


async def append_one(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await append_batch(connection, [a_create(SMALL)])
    finally:
        await connection.close()


@PROGRAMS
def test_a_log_that_holds_an_event_is_left_alone(database: Database, program: object) -> None:
    run(append_one(database.admin_url))

    ended = measure(program, database.admin_url)

    assert ended.exit_code == 1
    assert "its log holds events" in ended.output
    assert "python -m tests.bench.scratch" in ended.output
    assert run(positions(database.admin_url)) == 1


@PROGRAMS
def test_a_database_with_an_api_key_is_left_alone(database: Database, program: object) -> None:
    run(partner_key(database))

    ended = measure(program, database.admin_url)

    assert ended.exit_code == 1
    assert "it holds API keys" in ended.output
    assert run(positions(database.admin_url)) == 0


@PROGRAMS
def test_a_database_without_our_tables_is_told_in_one_line(postgres_cluster: PostgresCluster, program: object) -> None:
    ended = measure(program, postgres_cluster.server.url())

    assert ended.exit_code == 1
    assert "it was never migrated" in ended.output
    assert "Traceback" not in ended.output


def test_a_server_that_is_away_is_told_in_one_line() -> None:
    ended = measure(append.main, "postgresql://admin:s3cret@127.0.0.1:9/scratch")

    assert ended.exit_code == 1
    assert "Error: " in ended.output
    assert "s3cret" not in ended.output


def test_a_scratch_database_is_one_to_measure_in(postgres_cluster: PostgresCluster) -> None:
    made = CliRunner().invoke(scratch.main, [postgres_cluster.server.url()])
    url = made.stdout.strip()
    try:
        ended = measure(append.main, url)
        again = measure(append.main, url)
    finally:
        run(postgres_cluster.drop_database(url.rpartition("/")[2]))

    assert (made.exit_code, ended.exit_code) == (0, 0), made.output + ended.output
    assert "raw rows/s" in ended.output
    assert again.exit_code == 1, "it is a scratch database no more"
