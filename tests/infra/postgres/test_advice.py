"""A start that fails on PostgreSQL names what is wrong and the next step."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest
from click.testing import CliRunner

from infra.postgres.advice import advice
from infra.postgres.migrate import MigrationError, assert_version, main
from infra.postgres.pool import DangerousSettingsError, open_pool
from infra.settings import PostgresSettings
from tests.support.services.ports import free_port
from tests.support.services.servers import Database


async def failure(url: str) -> Exception:
    """Return what a service meets that starts with this address."""
    try:
        pool = await open_pool(PostgresSettings(url=url), application_name="test")
    except Exception as error:  # noqa: BLE001  # whatever it is
        return error
    pool.terminate()
    raise AssertionError("it works")


async def test_a_missing_database_is_named_with_how_to_make_it(database: Database) -> None:
    url = urlsplit(database.command_url)._replace(path="/nowhere").geturl()

    assert advice(await failure(url)) == (
        'database "nowhere" does not exist: create it (CREATE DATABASE), then run python -m infra.postgres.migrate, '
        "or correct HARBOR_POSTGRES__URL"
    )


async def test_a_wrong_password_is_named_and_not_shown(database: Database) -> None:
    parts = urlsplit(database.command_url)
    url = parts._replace(netloc=f"{parts.username}:canary@{parts.hostname}:{parts.port}").geturl()

    said = advice(await failure(url))

    assert said.startswith("password authentication failed for user")
    assert "correct user and password in HARBOR_POSTGRES__URL" in said
    assert "canary" not in said


async def test_a_database_without_migrations_is_told_from_a_missing_one(pg_admin_url: str) -> None:
    said = advice(await failure(pg_admin_url))

    assert said == "the database was never migrated: run python -m infra.postgres.migrate"


async def test_a_host_where_nothing_listens_and_one_that_is_unknown() -> None:
    refused = await failure(f"postgresql://a:b@127.0.0.1:{free_port()}/harbor")
    unknown = await failure("postgresql://a:b@nowhere.invalid/harbor")

    assert advice(refused).endswith("is it up, and are host and port in HARBOR_POSTGRES__URL right?")
    assert advice(unknown).endswith("nobody knows the host in HARBOR_POSTGRES__URL: correct it")


async def test_what_answers_and_is_not_postgresql() -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        assert "is not PostgreSQL" in advice(await failure(f"postgresql://a:b@127.0.0.1:{port}/harbor"))


def test_connections_that_others_hold_and_what_our_own_checks_say() -> None:
    assert advice(asyncpg.TooManyConnectionsError("sorry, too many clients already")).startswith(
        "sorry, too many clients already: end sessions of others"
    )
    assert advice(DangerousSettingsError("fsync is 'off' and must be on")) == "fsync is 'off' and must be on"


def test_an_older_server_is_refused_by_its_version() -> None:
    assert_version(18)
    with pytest.raises(MigrationError, match="is PostgreSQL 17, and 18 or later is needed: upgrade it"):
        assert_version(17)


def test_the_migration_says_it_too(pg_admin_url: str) -> None:
    nowhere = urlsplit(pg_admin_url)._replace(path="/nowhere").geturl()

    ran = CliRunner().invoke(main, env={"HARBOR_POSTGRES__URL": nowhere, "HARBOR_POSTGRES_URL": "canary"})

    assert ran.exit_code == 1
    assert 'database "nowhere" does not exist: create it' in ran.output
    assert "warning: HARBOR_POSTGRES_URL is not a setting" in ran.output
    assert "canary" not in ran.output


@pytest.mark.parametrize("url", ["canary:5432/harbor", "postgresql://canary:99999/harbor", "http://canary/harbor"])
def test_an_address_that_is_none_stops_the_start_by_the_name_of_its_variable(url: str) -> None:
    ran = CliRunner().invoke(main, env={"HARBOR_POSTGRES__URL": url})

    assert "HARBOR_POSTGRES__URL: Value error, must be postgresql://user:password@host:port/database" in ran.output
    assert "canary" not in ran.output
