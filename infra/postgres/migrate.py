"""Migrations: `python -m infra.postgres.migrate` brings a database to the schema this code was written for.

First `migrations/roles.sql`, which may run any number of times (roles belong to the cluster, not to the database), then
every `migrations/NNNN_name.sql` that `harbor.migrations` does not list, in order, each in its own transaction and as
`harbor_owner`, so that everything it creates belongs to that role. Several migrators may run at once: they queue on an
advisory lock, for `_GIVE_UP_S` at most. A file takes as long as it needs; everything else has a deadline.

Until the first release the files are one baseline, a file per subject, and may be rewritten. From the first tag on,
migrations only move forward: a change is a new file, and an applied file never changes. `migrate` refuses a database
that was made by other files than these.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import click

from infra.clock import monotonic_s
from infra.postgres.advice import advice
from infra.postgres.connection import Connection
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.settings import PostgresSettings, SettingsError, load
from infra.settings_names import warn_of_mistyped

OLDEST_SERVER = 18
FOLDER = Path(__file__).with_name("migrations")
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK = 0x686172626F72  # "harbor": any number works as long as every migrator takes the same
_ANSWER_S: Final = 10.0
"""How long a connection, and each statement that is quick by nature, may take."""
_LOOK_EVERY_S: Final = 0.1
_SAY_AFTER_S: Final = 1.0
_GIVE_UP_S: Final = 300.0
# $1 the lock: who has it
_HOLDER: Final = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid::bigint << 32 | objid::bigint = $1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_START_AGAIN = (
    "this database was made by other migration files: "
    "before the first release, delete it (`make clean`) and start again"
)


class MigrationError(Exception):
    """The database and the migration files disagree; the message names the file."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `number` orders it, `sha256` proves that what was applied is what is on disk."""

    number: int
    name: str
    sql: str
    sha256: bytes


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """Return all migrations on disk, by number.

    Raises:
        MigrationError: two files carry the same number.
    """
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            continue
        content = path.read_bytes()
        number = int(match[1])
        if number in found:
            raise MigrationError(f"two migrations are numbered {number:04}: {found[number].name} and {match[2]}")
        found[number] = Migration(number, match[2], content.decode(), hashlib.sha256(content).digest())
    return [found[number] for number in sorted(found)]


async def migrate(
    admin_url: str,
    report: Callable[[str], object] = lambda _name: None,
    say: Callable[[str], object] = lambda _line: None,
) -> list[str]:
    """Apply what is missing and return the names of what was applied.

    Args:
        admin_url: of a superuser, or of a role with CREATEROLE that may create schemas in the database.
        report: gets each name at once.
        say: gets a line when there is another migration to wait for.

    Raises:
        MigrationError: an applied file was changed afterwards, or is not on disk, or the server is too old, or another
            migration does not end.
        one of `ANY_DATABASE_ERROR`: the database does not answer, or refuses.
    """
    connection = await asyncpg.connect(
        admin_url, timeout=_ANSWER_S, server_settings={"application_name": "harbor-migrate"}
    )
    try:
        assert_version(connection.get_server_version().major)
        await _lock(connection, say)
        async with connection.transaction():
            await connection.execute((FOLDER / "roles.sql").read_text(), timeout=_ANSWER_S)
        rows = await connection.fetch("SELECT number, sha256 FROM harbor.migrations", timeout=_ANSWER_S)
        applied = {row["number"]: row["sha256"] for row in rows}
        wanted = migrations()
        unknown = applied.keys() - {each.number for each in wanted}
        if unknown:
            numbers = ", ".join(f"{number:04}" for number in sorted(unknown))
            raise MigrationError(f"there is no file for the applied migration {numbers}; {_START_AGAIN}")
        names = []
        for each in _missing(wanted, applied):
            names.append(await _apply(connection, each))
            report(names[-1])
        return names
    finally:
        await connection.close(timeout=_ANSWER_S)


async def _lock(connection: Connection, say: Callable[[str], object]) -> None:
    """Wait until no other migration is under way in this database; say so when that takes longer than a moment."""
    started_s, is_said = monotonic_s(), False
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK, timeout=_ANSWER_S):
        waited_s = monotonic_s() - started_s
        if waited_s >= _SAY_AFTER_S and not is_said:
            holder = await connection.fetchval(_HOLDER, _LOCK, timeout=_ANSWER_S)
            say(f"waiting for another migration, up to {_GIVE_UP_S:g} s: session {holder} of pg_stat_activity")
            is_said = True
        if waited_s >= _GIVE_UP_S:
            holder = await connection.fetchval(_HOLDER, _LOCK, timeout=_ANSWER_S)
            raise MigrationError(
                f"another migration has not ended within {_GIVE_UP_S:g} s, and nothing was done: look at session "
                f"{holder} of pg_stat_activity, and run this again when it is over"
            )
        await asyncio.sleep(_LOOK_EVERY_S)


def assert_version(major: int) -> None:
    """Check that the server's major version is one that this code was written for.

    Raises:
        MigrationError: it is older.
    """
    if major < OLDEST_SERVER:
        raise MigrationError(
            f"the server at HARBOR_POSTGRES__URL is PostgreSQL {major}, and {OLDEST_SERVER} or later is needed: "
            "upgrade it, or name another"
        )


async def unapplied(connection: Connection) -> list[str]:
    """Return the names of the migrations on disk that this database lacks; services refuse to start when any is.

    Raises:
        MigrationError: the database was never migrated, an applied file was changed afterwards, or the server is too
            old.
    """
    assert_version(connection.get_server_version().major)
    try:
        rows = await connection.fetch("SELECT number, sha256 FROM harbor.migrations")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise MigrationError("the database was never migrated: run python -m infra.postgres.migrate") from error
    applied = {row["number"]: row["sha256"] for row in rows}
    return [f"{each.number:04}_{each.name}" for each in _missing(migrations(), applied)]


def _missing(wanted: list[Migration], applied: dict[int, bytes]) -> list[Migration]:
    for migration in wanted:
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            raise MigrationError(
                f"{migration.number:04}_{migration.name}.sql was changed after it was applied; {_START_AGAIN}"
            )
    return [migration for migration in wanted if migration.number not in applied]


async def _apply(connection: Connection, migration: Migration) -> str:
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE harbor_owner")
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO harbor.migrations (number, name, sha256) VALUES ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.sha256,
        )
    return f"{migration.number:04}_{migration.name}"


@click.command(
    epilog="Example: HARBOR_POSTGRES__URL=postgresql://admin:...@localhost/harbor python -m infra.postgres.migrate"
)
def main() -> None:
    """Bring the database at HARBOR_POSTGRES__URL (an admin's address) to the current schema; safe to repeat."""
    try:
        warn_of_mistyped(os.environ)
        url = load(PostgresSettings).url.get_secret_value()
        asyncio.run(migrate(url, lambda name: click.echo(f"applied {name}"), lambda line: click.echo(line, err=True)))
    except (SettingsError, MigrationError) as error:
        raise click.ClickException(str(error)) from error
    except ANY_DATABASE_ERROR as error:
        raise click.ClickException(advice(error)) from error
    click.echo("the schema is current")


if __name__ == "__main__":
    main()
