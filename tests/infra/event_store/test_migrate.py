"""Migrations: every file once, in order, by one migrator at a time, and never silently changed."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from infra.postgres.migrate import MigrationError, migrate, migrations, unapplied
from tests.support.services.servers import Database


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


async def test_a_file_changed_after_it_was_applied_stops_everything(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("UPDATE harbor.migrations SET sha256 = $1 WHERE number = 1", hashlib.sha256(b"x").digest())

    with pytest.raises(MigrationError, match=r"0001_log\.sql was changed"):
        await migrate(database.admin_url)
    await admin.close()


async def test_a_service_learns_what_its_database_lacks(database: Database, empty_url: str) -> None:
    admin, empty = await asyncpg.connect(database.admin_url), await asyncpg.connect(empty_url)
    assert await unapplied(admin) == []
    await admin.execute("DELETE FROM harbor.migrations WHERE number = 2")

    assert await unapplied(admin) == ["0002_recorded_responses"]
    with pytest.raises(MigrationError, match="never migrated"):
        await unapplied(empty)
    await admin.close()
    await empty.close()


async def test_everything_in_the_schema_belongs_to_a_role_nobody_logs_in_as(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    owners = await admin.fetch(
        "SELECT DISTINCT rolname, rolcanlogin FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner"
        " WHERE relnamespace = 'harbor'::regnamespace"
    )
    assert [tuple(row) for row in owners] == [("harbor_owner", False)]
    await admin.close()


async def test_no_function_of_ours_is_open_to_everybody(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    open_to_all = await admin.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'harbor'::regnamespace"
        " AND has_function_privilege('public', oid, 'EXECUTE')"
    )
    assert open_to_all == []
    await admin.close()


async def test_every_definer_function_pins_its_search_path(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    unpinned = await admin.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'harbor'::regnamespace AND prosecdef"
        " AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']"
    )
    assert unpinned == []
    await admin.close()


def test_two_files_with_one_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("SELECT 1")
    (tmp_path / "0001_b.sql").write_text("SELECT 1")
    (tmp_path / "roles.sql").write_text("SELECT 1")

    with pytest.raises(MigrationError, match="two migrations are numbered 0001"):
        migrations(tmp_path)
