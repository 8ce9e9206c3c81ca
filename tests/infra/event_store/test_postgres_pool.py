"""A pool opens only on a server, login and schema that nothing can be lost or forged with."""

import asyncpg
import pytest
from pydantic import SecretStr

from infra.postgres.migrate import MigrationError
from infra.postgres.pool import DangerousSettingsError, SchemaBehindError, assert_durable, connect, open_pool
from infra.settings import PostgresSettings
from tests.support.services.servers import Database


async def opened(url: str) -> None:
    """Open a pool and close it again."""
    pool = await open_pool(PostgresSettings(url=SecretStr(url)), application_name="test")
    await pool.close()


@pytest.mark.parametrize("login", ["command_url", "worker_url", "query_url"])
async def test_it_opens_for_every_service_login(database: Database, login: str) -> None:
    await opened(getattr(database, login))


async def test_it_refuses_a_superuser(database: Database) -> None:
    with pytest.raises(DangerousSettingsError, match="superuser"):
        await opened(database.admin_url)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("synchronous_commit", "off", "synchronous_commit is 'off' and must be on or remote_apply"),
        ("synchronous_commit", "local", "synchronous_commit is 'local'"),
        ("default_transaction_isolation", "'repeatable read'", "default_transaction_isolation is 'repeatable read'"),
    ],
)
async def test_it_refuses_a_dangerous_default_of_the_login(
    database: Database, setting: str, value: str, message: str
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute(f"ALTER ROLE harbor_command_login IN DATABASE {database.name} SET {setting} = {value}")
    await admin.close()

    with pytest.raises(DangerousSettingsError, match=message):
        await opened(database.command_url)
    with pytest.raises(DangerousSettingsError, match=message):
        await connect(PostgresSettings(url=SecretStr(database.command_url)), application_name="test")


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_it_refuses_a_server_that_would_not_survive_power_loss(database: Database, setting: str) -> None:
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute(f"ALTER SYSTEM SET {setting} = off")
        await admin.execute("SELECT pg_reload_conf()")
        with pytest.raises(DangerousSettingsError, match=f"{setting} is 'off' and must be on"):
            await assert_until_reloaded(database.command_url)
    finally:
        await admin.execute(f"ALTER SYSTEM RESET {setting}")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.close()


async def assert_until_reloaded(url: str) -> None:
    """Check connections until the reload has reached new ones; raises what the check raises."""
    for _ in range(200):
        connection = await asyncpg.connect(url)
        try:
            await assert_durable(connection)
        finally:
            await connection.close()


async def test_it_refuses_a_login_that_may_write_to_the_log(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("GRANT INSERT ON harbor.events TO harbor_command_login")
    await admin.close()

    with pytest.raises(DangerousSettingsError, match="may write to the log"):
        await opened(database.command_url)


async def test_it_refuses_a_schema_that_is_behind(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("DELETE FROM harbor.migrations WHERE number = 2")
    await admin.close()

    with pytest.raises(SchemaBehindError, match="0002_recorded_responses"):
        await opened(database.command_url)


async def test_it_says_when_a_database_was_never_migrated(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("DROP SCHEMA harbor CASCADE")
    await admin.close()

    with pytest.raises(MigrationError, match="never migrated"):
        await opened(database.command_url)
