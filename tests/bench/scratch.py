"""A database to write to without harm: `python -m tests.bench.scratch URL` makes one, and others are refused.

What a measurement appends is no JSON that anybody can read, and a log can only be added to: in the database of a
running system it would stop everything that reads the log.
"""

import secrets
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import click
import uvloop

from infra.postgres.migrate import migrate

_NOT_REACHED: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
_HELD: Final = """
SELECT EXISTS (SELECT FROM harbor.batches) OR EXISTS (SELECT FROM harbor.events) AS events,
       EXISTS (SELECT FROM harbor.api_keys) AS keys
"""
_INSTEAD: Final = (
    "give the address of a scratch database: `python -m tests.bench.scratch postgresql://ADMIN:PASSWORD@HOST:PORT/postgres`"
    " makes one and prints it"
)


def refuse_unless_scratch(url: str) -> None:
    """Look whether the database is migrated and holds nothing yet.

    Raises:
        ClickException: it is not, it does, or nobody answers.
    """
    try:
        reason = uvloop.run(_reason(url))
    except _NOT_REACHED as error:
        raise click.ClickException(f"{error}; {_INSTEAD}") from error
    if reason:
        raise click.ClickException(f"this database is not written to: {reason}. Instead, {_INSTEAD}")


async def _reason(url: str) -> str | None:
    connection = await asyncpg.connect(url)
    try:
        [held] = await connection.fetch(_HELD)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return "it was never migrated"
    finally:
        await connection.close()
    if held["events"]:
        return "its log holds events, and what a measurement appends nobody can read or take out again"
    return "it holds API keys, so it is somebody's" if held["keys"] else None


async def make(server_url: str) -> str:
    """Make a migrated database beside the one at `server_url`, an administrator's address; give its own address."""
    name = f"scratch_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
    await migrate(url)
    return url


@click.command(epilog="Example: python -m tests.bench.scratch postgresql://admin:secret@localhost:5432/postgres")
@click.argument("url")
def main(url: str) -> None:
    """Make a scratch database on the server at URL, an administrator's address, and print its address."""
    try:
        made = uvloop.run(make(url))
    except _NOT_REACHED as error:
        raise click.ClickException(str(error)) from error
    click.echo(made)
    click.echo(f"when it is no longer needed: DROP DATABASE {urlsplit(made).path[1:]}", err=True)


if __name__ == "__main__":
    main()
