"""A database is made ready once and may be made ready again."""

import base64
import secrets

import asyncpg
import pytest

from infra import clock
from infra.local.errors import LocalError
from infra.local.servers.install import API_KEYS, install, refuse_other_webhook_key
from infra.security.api_key_store import revoke_key
from infra.security.api_keys import KeyActor, parse
from tests.support.services.servers import Database, PostgresCluster
from tests.support.services.webhooks import SECRETS_KEY, create_endpoint

PEPPER = "p" * 32


async def test_installing_twice_changes_nothing(database: Database, postgres_cluster: PostgresCluster) -> None:
    keys: dict[str, str] = {}
    await install(database.admin_url, postgres_cluster.passwords, keys, PEPPER)
    first = dict(keys)

    applied = await install(database.admin_url, postgres_cluster.passwords, keys, PEPPER)

    assert applied == []
    assert keys == first
    assert keys.keys() == API_KEYS.keys()


async def test_a_key_that_was_revoked_is_replaced(database: Database, postgres_cluster: PostgresCluster) -> None:
    keys: dict[str, str] = {}
    await install(database.admin_url, postgres_cluster.passwords, keys, PEPPER)
    revoked = keys["partner_a"]
    connection = await asyncpg.connect(database.admin_url)
    try:
        await revoke_key(connection, key_id=parse(revoked).key_id, now=clock.now(), by=KeyActor("cli", "test", "r"))
    finally:
        await connection.close()

    await install(database.admin_url, postgres_cluster.passwords, keys, PEPPER)

    assert keys["partner_a"] != revoked


async def test_a_pepper_that_fits_no_key_of_the_database_is_refused(
    database: Database, postgres_cluster: PostgresCluster
) -> None:
    keys: dict[str, str] = {}
    await install(database.admin_url, postgres_cluster.passwords, keys, PEPPER)
    made = dict(keys)

    with pytest.raises(LocalError, match="made with another pepper"):
        await install(database.admin_url, postgres_cluster.passwords, keys, "q" * 32)

    assert keys == made


async def test_a_key_that_opens_no_webhook_endpoint_of_the_database_is_refused(database: Database) -> None:
    right, other = (base64.b64encode(key).decode() for key in (SECRETS_KEY, b"another secret of 32 bytes here!"))
    await refuse_other_webhook_key(database.admin_url, other)  # there is no endpoint yet
    await create_endpoint(database, "https://hooks.acme.com/")

    await refuse_other_webhook_key(database.admin_url, right)
    with pytest.raises(LocalError, match="made with another key"):
        await refuse_other_webhook_key(database.admin_url, other)
    with pytest.raises(LocalError, match="base64 of 32 bytes"):
        await refuse_other_webhook_key(database.admin_url, "short")


async def test_a_role_that_may_not_create_roles_is_told_so(
    database: Database, postgres_cluster: PostgresCluster
) -> None:
    with pytest.raises(LocalError, match=r"permission denied .*one that may create roles"):
        await install(database.query_url, postgres_cluster.passwords, {}, PEPPER)


async def test_a_server_that_is_not_there_is_told(database: Database, postgres_cluster: PostgresCluster) -> None:
    absent = f"postgresql://admin:{secrets.token_hex(4)}@127.0.0.1:1/{database.name}"

    with pytest.raises(LocalError, match="cannot be reached"):
        await install(absent, postgres_cluster.passwords, {}, PEPPER)
