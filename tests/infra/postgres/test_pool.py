"""A pool opens only with a server, login and schema with which nothing can be lost or forged."""

import asyncpg
import pytest
from pydantic import SecretStr

from infra.postgres.connection import DedicatedConnection
from infra.postgres.migrate import MigrationError
from infra.postgres.pool import DangerousSettingsError, SchemaBehindError, assert_durable, connect, open_pool
from infra.settings import PostgresSettings
from tests.support.services.servers import Database


async def opened(url: str) -> None:
    """Open a pool and close it again."""
    pool = await open_pool(PostgresSettings(url=SecretStr(url)), application_name="test")
    await pool.close()


async def test_it_opens_for_every_service_login_and_refuses_a_superuser(database: Database) -> None:
    for url in (database.command_url, database.worker_url, database.query_url):
        await opened(url)
    with pytest.raises(DangerousSettingsError, match="superuser"):
        await opened(database.admin_url)


async def test_it_refuses_a_dangerous_default_of_the_login(database: Database, admin: DedicatedConnection) -> None:
    role = f"ALTER ROLE harbor_command_login IN DATABASE {database.name}"
    for setting, value, message in (
        ("synchronous_commit", "off", "synchronous_commit is 'off' and must be on or remote_apply"),
        ("synchronous_commit", "local", "synchronous_commit is 'local'"),
        ("default_transaction_isolation", "'repeatable read'", "default_transaction_isolation is 'repeatable read'"),
    ):
        await admin.execute(f"{role} SET {setting} = {value}")
        with pytest.raises(DangerousSettingsError, match=message):
            await opened(database.command_url)
        with pytest.raises(DangerousSettingsError, match=message):
            await connect(PostgresSettings(url=SecretStr(database.command_url)), application_name="test")
        await admin.execute(f"{role} RESET {setting}")


async def test_it_refuses_a_server_that_would_not_survive_power_loss(
    database: Database, admin: DedicatedConnection
) -> None:
    for setting in ("fsync", "full_page_writes"):
        try:
            await admin.execute(f"ALTER SYSTEM SET {setting} = off")
            await admin.execute("SELECT pg_reload_conf()")
            with pytest.raises(DangerousSettingsError, match=f"{setting} is 'off' and must be on"):
                await assert_until_reloaded(database.command_url)
        finally:
            await admin.execute(f"ALTER SYSTEM RESET {setting}")
            await admin.execute("SELECT pg_reload_conf()")


async def assert_until_reloaded(url: str) -> None:
    """Check connections until the reload has reached new ones; raises what the check raises."""
    for _ in range(200):
        connection = await asyncpg.connect(url)
        try:
            await assert_durable(connection)
        finally:
            await connection.close()


@pytest.mark.parametrize(
    ("statement", "error", "message"),
    [
        ("GRANT INSERT ON harbor.events TO harbor_command_login", DangerousSettingsError, "may write to the log"),
        ("DELETE FROM harbor.migrations WHERE number = 2", SchemaBehindError, "0002_recorded_responses"),
        ("DROP SCHEMA harbor CASCADE", MigrationError, "never migrated"),
    ],
)
async def test_it_refuses_a_login_that_may_write_to_the_log_and_a_schema_that_is_behind(
    database: Database, admin: DedicatedConnection, statement: str, error: type[Exception], message: str
) -> None:
    await admin.execute(statement)

    with pytest.raises(error, match=message):
        await opened(database.command_url)
