"""One running system for the tests of examples/harbor_client, and both kinds of client."""

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from harbor_orders_client import AsyncHarborOrders
from tests.demo.stack import Stack
from tests.support.services.harbor_clients import KINDS, Client, client_of
from tests.support.services.servers import PostgresCluster
from tests.support.services.system import System, partner_key, running_system


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def running(
    postgres_cluster: PostgresCluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[System, Stack]]:
    """Run the whole system, without a broker, for all tests here."""
    database = await postgres_cluster.create_database()
    async with running_system(database, None, "", tmp_path_factory.mktemp("system")) as (system, stack):
        yield system, stack
    await postgres_cluster.drop_database(database.name)


@pytest.fixture(scope="package")
def stack(running: tuple[System, Stack]) -> Stack:
    """Return the addresses of the running system and the key of a partner, which no test may change."""
    return running[1]


@pytest.fixture
async def own_key(running: tuple[System, Stack]) -> str:
    """Return a key of a partner that no other test knows."""
    system, stack = running
    pepper = system.environments["command_api"]["HARBOR_SECURITY__API_KEY_PEPPER"]
    return await partner_key(stack.postgres, pepper, f"partner-{secrets.token_hex(4)}")


@pytest.fixture
def home(stack: Stack, tmp_path: Path) -> Path:
    """Return a home in which the running system is found."""
    facts = {"command_api": stack.command_api, "query_api": stack.query_api, "api_keys": {"partner_a": stack.api_key}}
    (tmp_path / "stack.json").write_text(json.dumps(facts))
    return tmp_path


@pytest.fixture(params=KINDS, ids=["blocking", "awaited"])
def kind(request: pytest.FixtureRequest) -> type[Client]:
    """Return either kind of client: for what the two do with code of their own."""
    found: type[Client] = request.param
    return found


@pytest.fixture
async def harbor(stack: Stack, kind: type[Client]) -> AsyncIterator[Client]:
    """Return a client of the running system, of either kind."""
    async with client_of(kind, stack.api_key, command_url=stack.command_api, query_url=stack.query_api) as client:
        yield client


@pytest.fixture
async def awaited(stack: Stack) -> AsyncIterator[AsyncHarborOrders]:
    """Return a client of the running system that is awaited: for what both kinds do by the same code."""
    async with client_of(
        AsyncHarborOrders, stack.api_key, command_url=stack.command_api, query_url=stack.query_api
    ) as client:
        yield client
