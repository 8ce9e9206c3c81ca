"""The servers of the test fixtures are the real ones, with the settings that durability needs."""

import asyncpg
import pytest
import redis.asyncio

from tests.support.services.ports import free_port, reserve
from tests.support.services.servers import Database, PostgresCluster


async def test_postgres_is_18_and_forces_every_commit_to_disk(pg_admin_url: str) -> None:
    connection = await asyncpg.connect(pg_admin_url)
    try:
        settings = {
            name: await connection.fetchval("SELECT current_setting($1)", name)
            for name in ("fsync", "full_page_writes", "synchronous_commit", "password_encryption", "data_checksums")
        }
        version = await connection.fetchval("SHOW server_version_num")
    finally:
        await connection.close()

    assert int(version) // 10000 == 18
    assert settings == {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "password_encryption": "scram-sha-256",
        "data_checksums": "on",
    }


async def test_each_process_logs_in_with_a_role_that_is_no_superuser(database: Database) -> None:
    for url in (database.command_url, database.worker_url, database.query_url):
        connection = await asyncpg.connect(url)
        try:
            is_superuser = await connection.fetchval("SELECT usesuper FROM pg_user WHERE usename = current_user")
        finally:
            await connection.close()
        assert is_superuser is False


async def test_postgres_asks_for_a_password(postgres_cluster: PostgresCluster) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_cluster.server.url(password="wrong"))


async def test_redis_starts_empty(redis_url: str) -> None:
    client = redis.asyncio.Redis.from_url(redis_url)
    try:
        assert await client.dbsize() == 0
    finally:
        await client.aclose()


def test_a_port_is_given_to_one_test_only() -> None:
    assert not reserve(free_port())
