"""Migrations: every file once, in order, by one migrator at a time, and never silently changed."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from click.testing import CliRunner

import infra.postgres.migrate as migrate_module
from infra.postgres.connection import DedicatedConnection
from infra.postgres.migrate import MigrationError, migrate, migrations, unapplied
from tests.support.services.servers import Database, PostgresCluster
from tests.support.waiting import eventually


@pytest.fixture
async def empty_url(pg_admin_url: str) -> AsyncIterator[str]:
    """Return the administrator's address of a database that was never migrated."""
    name = f"empty_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(pg_admin_url)
    await admin.execute(f"CREATE DATABASE {name}")
    yield urlunsplit(urlsplit(pg_admin_url)._replace(path=f"/{name}"))
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def test_the_first_run_applies_every_file_and_the_second_none(empty_url: str) -> None:
    assert await migrate(empty_url) == [f"{each.number:04}_{each.name}" for each in migrations()]
    assert await migrate(empty_url) == []


async def test_migrators_that_start_together_apply_each_file_once(empty_url: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))

    assert sorted(map(len, applied)) == [0, 0, 0, len(migrations())]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE harbor.migrations SET sha256 = sha256('x') WHERE number = 1", r"0001_log\.sql was changed"),
        ("INSERT INTO harbor.migrations VALUES (9000, 'later', '')", "no file for the applied migration 9000"),
    ],
    ids=["a changed file", "a file that is not here"],
)
async def test_a_database_that_was_made_by_other_files_is_refused_with_advice(
    database: Database, admin: DedicatedConnection, change: str, found: str
) -> None:
    await admin.execute(change)

    with pytest.raises(MigrationError, match=rf"{found}.* made by other migration files: .*`make clean`"):
        await migrate(database.admin_url)


async def test_the_command_names_each_file_when_it_is_applied_also_before_one_that_fails(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tmp_path / "0001_good.sql", tmp_path / "0002_bad.sql"
    good.write_text("SELECT 1")
    bad.write_text("SELECT nothing")
    monkeypatch.setattr(migrate_module, "migrations", partial(migrations, tmp_path))
    monkeypatch.setenv("HARBOR_POSTGRES__URL", empty_url)

    failed = await asyncio.to_thread(CliRunner().invoke, migrate_module.main)
    bad.write_text("SELECT 2")
    done = await asyncio.to_thread(CliRunner().invoke, migrate_module.main)

    assert (failed.exit_code, failed.output.splitlines()[0]) == (1, "applied 0001_good")
    assert "nothing" in failed.output.splitlines()[1]
    assert (done.exit_code, done.output.splitlines()) == (0, ["applied 0002_bad", "the schema is current"])


async def test_a_server_that_does_not_answer_ends_the_command_with_advice(
    postgres_cluster: PostgresCluster, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "_ANSWER_S", 0.5)
    monkeypatch.setenv("HARBOR_POSTGRES__URL", database.admin_url)
    postgres_cluster.running.pause()
    try:
        async with asyncio.timeout(10):
            ended = await asyncio.to_thread(CliRunner().invoke, migrate_module.main)
    finally:
        postgres_cluster.running.resume()

    assert (ended.exit_code, "PostgreSQL cannot be reached: is it up" in ended.output) == (1, True), ended.output


async def test_one_that_waits_for_another_says_so_and_goes_on_when_that_ends(
    database: Database, admin: DedicatedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "_SAY_AFTER_S", 0.2)
    said: list[str] = []
    await admin.execute("SELECT pg_advisory_lock($1)", migrate_module._LOCK)

    migrating = asyncio.create_task(migrate(database.admin_url, say=said.append))
    await eventually(lambda: said)
    await admin.execute("SELECT pg_advisory_unlock($1)", migrate_module._LOCK)

    assert await migrating == []
    assert said == [f"waiting for another migration, up to 300 s: session {admin.get_server_pid()} of pg_stat_activity"]


async def test_one_that_waits_for_another_in_vain_ends_with_advice(
    database: Database, admin: DedicatedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "_SAY_AFTER_S", 0.1)
    monkeypatch.setattr(migrate_module, "_GIVE_UP_S", 0.5)
    monkeypatch.setenv("HARBOR_POSTGRES__URL", database.admin_url)
    await admin.execute("SELECT pg_advisory_lock($1)", migrate_module._LOCK)

    async with asyncio.timeout(10):
        ended = await asyncio.to_thread(CliRunner().invoke, migrate_module.main)

    assert ended.exit_code == 1
    waiting, error = ended.output.splitlines()
    assert waiting.startswith("waiting for another migration, up to 0.5 s: session ")
    assert f"look at session {admin.get_server_pid()} of pg_stat_activity, and run this again" in error


async def test_a_service_learns_what_its_database_lacks(admin: DedicatedConnection, empty_url: str) -> None:
    assert await unapplied(admin) == []
    await admin.execute("DELETE FROM harbor.migrations WHERE number = 2")
    assert await unapplied(admin) == ["0002_recorded_responses"]

    empty = await asyncpg.connect(empty_url)
    with pytest.raises(MigrationError, match="never migrated"):
        await unapplied(empty)
    await empty.close()


async def test_everything_belongs_to_a_role_nobody_logs_in_as_and_no_function_is_open_to_everybody(
    admin: DedicatedConnection,
) -> None:
    owners = await admin.fetch(
        "SELECT DISTINCT rolname, rolcanlogin FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner"
        " WHERE relnamespace = 'harbor'::regnamespace"
    )
    open_to_all = await admin.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'harbor'::regnamespace"
        " AND has_function_privilege('public', oid, 'EXECUTE')"
    )
    unpinned = await admin.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'harbor'::regnamespace AND prosecdef"
        " AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']"
    )
    assert [tuple(row) for row in owners] == [("harbor_owner", False)]
    assert (open_to_all, unpinned) == ([], []), "a function of its definer pins its search path"


def test_two_files_with_one_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("SELECT 1")
    (tmp_path / "0001_b.sql").write_text("SELECT 1")
    (tmp_path / "roles.sql").write_text("SELECT 1")

    with pytest.raises(MigrationError, match="two migrations are numbered 0001"):
        migrations(tmp_path)
