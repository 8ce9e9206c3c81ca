"""Connections to PostgreSQL, each checked before it is used: durable, of the right role, of our schema.

A session that loses commits in a power cut, or a service that logs in as the owner of the log, works perfectly until
the day it matters. So every connection is checked when it is opened, and a service with a wrong one does not start.
"""

from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from infra.postgres.connection import Connection, DedicatedConnection
from infra.postgres.migrate import unapplied
from infra.settings import PostgresSettings

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:  # at run time the class takes no parameters
    Pool = asyncpg.Pool

# Connections left over from a burst are closed after a minute: each is a server process that keeps its memory.
_IDLE_S = 60.0
_SAFE = {
    "synchronous_commit": ("on", "remote_apply"),
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "default_transaction_isolation": ("read committed",),
}

_SETTINGS = """
SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])
"""

_PRIVILEGES = """
SELECT rolsuper AS "the login is a superuser",
       pg_has_role('harbor_owner', 'MEMBER') AS "the login is a member of harbor_owner",
       has_table_privilege('harbor.events', 'INSERT, UPDATE, DELETE, TRUNCATE') AS "the login may write to the log"
FROM pg_roles WHERE rolname = current_user
"""


class DangerousSettingsError(ConnectionError):
    """The connection could lose or forge data and is not used; the message names the setting or privilege."""


class SchemaBehindError(Exception):
    """The database lacks migrations that this code needs; the message names them."""


async def open_pool(settings: PostgresSettings, *, application_name: str) -> Pool:
    """Return a pool whose every connection passed `assert_durable` and `assert_least_privilege`.

    Raises:
        DangerousSettingsError: this server or login must not be used.
        SchemaBehindError: run `python -m infra.postgres.migrate` first.
        MigrationError: the database was never migrated, or by other files.
        OSError, asyncpg.PostgresError: it cannot be reached now; try again later.
    """
    pool = await asyncpg.create_pool(
        settings.url.get_secret_value(),
        min_size=1,
        max_size=settings.pool_max,
        max_inactive_connection_lifetime=_IDLE_S,
        timeout=settings.connect_timeout_s,
        command_timeout=settings.command_timeout_s,
        server_settings=session_settings(application_name),
        init=_check,
        reset=_keep_session,
    )
    try:
        await _assert_current_schema(pool)
    except BaseException:
        pool.terminate()
        raise
    return pool


async def connect(settings: PostgresSettings, *, application_name: str) -> DedicatedConnection:
    """Return one dedicated connection, checked like those of `open_pool`; raises the same, except about the schema."""
    connection: DedicatedConnection = await asyncpg.connect(
        settings.url.get_secret_value(),
        timeout=settings.connect_timeout_s,
        command_timeout=settings.command_timeout_s,
        server_settings=session_settings(application_name),
    )
    try:
        await _check(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


def session_settings(application_name: str) -> dict[str, str]:
    """Return the settings that every session of ours starts with.

    Services look up by index: a plan cached while a table was empty would stay sequential as the table grows, at a
    tenth of the rate (decision 0023). `jit` costs more than it saves for statements of a millisecond.
    """
    return {
        "application_name": application_name,
        "timezone": "UTC",
        "enable_seqscan": "off",
        "jit": "off",
        "idle_in_transaction_session_timeout": "30s",
    }


async def assert_durable(connection: Connection) -> None:
    """Check that a commit on this connection survives a power cut and that isolation is what the append needs.

    Raises:
        DangerousSettingsError: names the first unsafe setting.
    """
    for row in await connection.fetch(_SETTINGS, list(_SAFE)):
        if row["setting"] not in _SAFE[row["name"]]:
            raise DangerousSettingsError(
                f"{row['name']} is {row['setting']!r} and must be {' or '.join(_SAFE[row['name']])}"
            )


async def assert_least_privilege(connection: Connection) -> None:
    """Check that this login cannot write past the append function.

    Raises:
        DangerousSettingsError: names the excessive privilege.
    """
    try:
        row = await connection.fetchrow(_PRIVILEGES)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.UndefinedObjectError):
        return  # never migrated: `open_pool` reports that
    for name, held in () if row is None else row.items():
        if held:
            raise DangerousSettingsError(f"{name}: a service logs in as a member of its own group role only")


async def _assert_current_schema(pool: Pool) -> None:
    async with pool.acquire() as connection:
        missing = await unapplied(connection)
    if missing:
        raise SchemaBehindError(f"not applied: {', '.join(missing)}; run python -m infra.postgres.migrate")


async def _check(connection: Connection) -> None:
    await assert_durable(connection)
    await assert_least_privilege(connection)


async def _keep_session(_connection: Connection) -> None:
    """Skip asyncpg's RESET ALL on release (10 % of a short request): our code changes no session state."""
