"""A backup is of one moment, keeps its secrets apart, and becomes the data of another home, or nothing does."""

import asyncio
import base64
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner

from infra.background import run_in_background
from infra.event_store.postgres import PostgresEventStore, open_event_store
from infra.local.__main__ import main
from infra.local.backups import restore as restoring
from infra.local.backups.contents import LogState, dump_file, secrets_file
from infra.local.backups.create import back_up
from infra.local.backups.restore import restore
from infra.local.errors import LocalError
from infra.local.home import CHECKOUT, SECRETS, Home
from infra.local.servers.install import install, opens
from infra.local.servers.postgres import PostgresServer
from infra.postgres.pool import open_pool
from infra.settings import PostgresSettings
from projections.verify import VERIFIABLE
from tests.support.event_store.append_commands import a_command
from tests.support.services.servers import Database, PostgresCluster, RunningServer, run_directory
from tests.support.services.system import clean_environment
from tests.support.services.webhooks import SECRETS_KEY, create_endpoint

PERMISSIONS = 0o777
ROWS = """
SELECT 'event ' || position || ' ' || event_id || ' ' || encode(leaf_hash, 'hex') AS row
FROM harbor.events WHERE position <= $1
UNION ALL SELECT 'response ' || key || ' ' || encode(response, 'hex')
FROM harbor.recorded_responses WHERE position <= $1 ORDER BY 1
"""


def ignore(_line: str) -> None:
    """Say nothing."""


@pytest.fixture
def directory() -> Iterator[Path]:
    with run_directory() as path:
        yield path


@pytest.fixture
async def home(directory: Path, database: Database, postgres_cluster: PostgresCluster) -> Home:
    """Return a home whose secrets are those of the test's database."""
    home = Home(directory / "home")
    home.make()
    pepper = {name: home.secret(name) for name in SECRETS}["api_key_pepper"]
    await install(database.admin_url, postgres_cluster.passwords, home.kept.api_keys, pepper)
    home.save()
    return home


@pytest.fixture
async def postgres_store(database: Database) -> AsyncIterator[PostgresEventStore]:
    settings = PostgresSettings.model_validate({"url": database.command_url})
    pool = await open_pool(settings, application_name="writer")
    async with pool, open_event_store(settings, pool) as store:
        yield store


def an_empty_home(directory: Path, name: str = "restored") -> Home:
    home = Home(directory / name)
    home.make()
    return home


async def test_a_backup_taken_while_events_are_written_becomes_the_log_of_one_moment_in_another_home(
    home: Home, directory: Path, database: Database, postgres_store: PostgresEventStore
) -> None:
    for _ in range(20):
        await postgres_store.append(a_command())
    target = directory / "monday"

    async def keep_writing() -> None:
        while True:
            await postgres_store.append(a_command())

    async with run_in_background(keep_writing, "writer"):
        manifest = await back_up(home, database.admin_url, target, ignore)
    restored = an_empty_home(directory)
    found, _ = await restore(restored, target, secrets_file(target), ignore)

    assert found == manifest.log
    assert found.events == found.head >= 20
    kept = restored.kept
    server = PostgresServer(Path(kept.postgres_dir) / "data", kept.ports["postgres"], restored.password("postgres"))
    running = RunningServer(server, directory / "again.log")
    await running.start()
    try:
        connection = await asyncpg.connect(server.url("harbor"))
        rows = [row["row"] for row in await connection.fetch(ROWS, found.head)]
        pepper = restored.secret("api_key_pepper").encode()
        known = [await opens(connection, key, pepper) for key in home.kept.api_keys.values()]
        await connection.close()
    finally:
        running.stop()
    assert rows == [row["row"] for row in await database.fetch(ROWS, found.head)]
    assert all(known)


async def test_a_backup_and_its_secrets_are_apart_and_closed_to_others(
    home: Home, directory: Path, database: Database
) -> None:
    target = directory / "monday"

    await back_up(home, database.admin_url, target, ignore)

    assert target.stat().st_mode & PERMISSIONS == 0o700
    assert secrets_file(target).stat().st_mode & PERMISSIONS == 0o600
    inside = b"".join(path.read_bytes() for path in target.iterdir())
    assert not [name for name, secret in home.kept.secrets.items() if secret.encode() in inside]


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("HARBOR_SECURITY__API_KEY_PEPPER", "opens no API key"),
        ("HARBOR_SECURITY__WEBHOOK_SECRETS_KEY", "opens no endpoint"),
    ],
)
async def test_secrets_that_open_nothing_of_the_stack_are_not_kept(
    home: Home, directory: Path, database: Database, variable: str, told: str
) -> None:
    home.kept.secrets["webhook_secrets_key"] = base64.b64encode(SECRETS_KEY).decode()
    await create_endpoint(database, "https://hooks.acme.com/")
    other = {variable: base64.b64encode(b"another secret of 32 bytes here!").decode()}

    with pytest.raises(LocalError, match=told):
        await back_up(home, database.admin_url, directory / "backup", ignore, other)

    assert not secrets_file(directory / "backup").exists()
    assert not (directory / "backup").exists()
    assert not (directory / "backup.unfinished").exists()


async def test_a_directory_that_exists_is_not_written_over(home: Home, directory: Path, database: Database) -> None:
    (directory / "monday").mkdir()

    with pytest.raises(LocalError, match="exists already"):
        await back_up(home, database.admin_url, directory / "monday", ignore)


async def test_what_cannot_be_restored_is_told_and_leaves_the_home_without_data(
    home: Home, directory: Path, database: Database
) -> None:
    good = directory / "good"
    await back_up(home, database.admin_url, good, ignore)
    damaged, foreign, changed, none = (directory / name for name in ("damaged", "foreign", "changed", "none"))
    for copy in (damaged, foreign, changed):
        shutil.copytree(good, copy)
        shutil.copy(secrets_file(good), secrets_file(copy))
    content = bytearray(dump_file(damaged).read_bytes())
    content[len(content) // 2] ^= 1
    dump_file(damaged).write_bytes(content)
    secrets = json.loads(secrets_file(foreign).read_text())
    secrets_file(foreign).write_text(json.dumps(secrets | {"backup_id": "another"}))
    secrets["secrets"]["webhook_secrets_key"] = "another"
    secrets_file(changed).write_text(json.dumps(secrets))
    refused = {
        (changed, secrets_file(changed)): "is damaged",
        (damaged, secrets_file(damaged)): "is damaged",
        (foreign, secrets_file(foreign)): "belongs to another backup",
        (none, secrets_file(good)): "is no backup",
        (good, directory / "lost.json"): "every API key would be 401",
    }

    for (backup, file), told in refused.items():
        empty = an_empty_home(directory, "empty")
        with pytest.raises(LocalError, match=told):
            await restore(empty, backup, file, ignore)
        assert not (empty.path / "home.json").exists()

    with pytest.raises(LocalError, match="has data already"):
        await restore(home, good, secrets_file(good), ignore)


async def test_a_restored_log_that_is_not_the_one_of_the_backup_is_deleted(
    home: Home, directory: Path, database: Database
) -> None:
    target = directory / "monday"
    manifest = await back_up(home, database.admin_url, target, ignore)
    document = json.loads((target / "backup.json").read_text())
    document["log"]["events"] += 1
    (target / "backup.json").write_text(json.dumps(document))
    empty = an_empty_home(directory)

    with pytest.raises(LocalError, match="not the one of the backup"):
        await restore(empty, target, secrets_file(target), ignore)

    assert manifest.log == LogState(0, 0, None)
    assert not (empty.path / "home.json").exists()
    assert not (empty.path / "postgres").exists()


def test_every_read_model_that_can_be_verified_is_verified_after_a_restore() -> None:
    assert set(restoring.READ_MODELS) == set(VERIFIABLE)


def test_a_refused_restore_leaves_no_home_behind(directory: Path) -> None:
    home = directory / "new"

    ended = CliRunner().invoke(main, ["restore", str(directory / "none")], env={"HARBOR_HOME": str(home)})

    assert ended.exit_code == 1
    assert "is no backup" in ended.output
    assert not home.exists()


@pytest.mark.parametrize("after", ["starting PostgreSQL", "restoring"])
async def test_a_killed_restore_is_no_home_to_start_in_and_can_be_run_again(
    home: Home, directory: Path, database: Database, after: str
) -> None:
    target = directory / "monday"
    await back_up(home, database.admin_url, target, ignore)
    restored = directory / "restored"
    environment = clean_environment() | {"HARBOR_HOME": str(restored)}
    command = [sys.executable, "-u", "-m", "infra.local", "restore", str(target)]
    process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    while not (line := await process.stdout.readline()).startswith(after.encode()):
        assert line, "it ended before it could be killed"
    process.kill()
    await process.wait()

    refused = await asyncio.to_thread(CliRunner().invoke, main, ["up"], env={"HARBOR_HOME": str(restored)})
    found = await restore(Home(restored), target, secrets_file(target), ignore)

    assert refused.exit_code == 1
    assert "was interrupted, and what it left is no backup: run it again" in refused.output
    assert found == (LogState(0, 0, None), ())


async def test_an_interrupted_restore_leaves_nothing(home: Home, directory: Path, database: Database) -> None:
    target = directory / "monday"
    await back_up(home, database.admin_url, target, ignore)
    restored = directory / "restored"
    environment = clean_environment() | {"HARBOR_HOME": str(restored)}
    command = [sys.executable, "-u", "-m", "infra.local", "restore", str(target)]
    process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    while not (await process.stdout.readline()).startswith(b"restoring"):
        pass
    process.terminate()

    assert await process.wait() == 1
    assert not await asyncio.to_thread(restored.exists)


async def test_a_directory_with_other_things_is_not_restored_into(
    home: Home, directory: Path, database: Database
) -> None:
    target = directory / "monday"
    await back_up(home, database.admin_url, target, ignore)
    other = an_empty_home(directory, "other")
    (other.path / "postgres").mkdir()

    with pytest.raises(LocalError, match="holds other things"):
        await restore(other, target, secrets_file(target), ignore)

    assert (other.path / "postgres").exists()
