"""Fixtures every test may ask for. A test that names one that needs a server is marked `server` by that alone."""

import gc
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio
from hypothesis import HealthCheck, settings

from infra.local.servers.valkey import ValkeyServer
from tests.support.services import servers
from tests.support.services.servers import Database, KafkaServer, PostgresCluster

# No run fails by chance: no example has a deadline, because a machine may stall, and every run draws the same examples.
# `make test-fast` uses "fast". ARGS=--hypothesis-profile=full draws a thousand new examples of everything.
settings.register_profile(
    "suite", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")
settings.register_profile("fast", max_examples=20)
settings.register_profile("full", max_examples=1000, derandomize=False)

SERVER_FIXTURES = frozenset({"postgres_cluster", "valkey_server", "kafka"})


LONG = ("test_openapi_conformance.py", "/faults/", "test_order_histories.py", "/bench/", "test_guides.py")
"""Where the longest tests are. They run first: one of them at the end would leave the other processes idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
    items.sort(key=lambda item: not any(part in item.path.as_posix() for part in LONG))


@pytest.fixture(autouse=True)
def no_connection_left_to_the_next_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what a test on a broker left: aiokafka drops a connection whose request for metadata is cancelled."""
    yield
    if "kafka" in request.fixturenames:
        gc.collect()


@pytest.fixture(scope="session")
def run_directory() -> Iterator[Path]:
    """Return the directory that all servers of the run live in."""
    with servers.run_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def postgres_cluster(run_directory: Path) -> Iterator[PostgresCluster]:
    """Start PostgreSQL once per run."""
    with servers.postgres(run_directory) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def valkey_server(run_directory: Path) -> Iterator[ValkeyServer]:
    """Start Valkey once per run."""
    with servers.valkey(run_directory) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(run_directory: Path) -> Iterator[KafkaServer]:
    """Start a Kafka broker once per run; tests keep apart by `topic_prefix`."""
    with servers.kafka(run_directory) as server:
        yield server


@pytest.fixture
def pg_admin_url(postgres_cluster: PostgresCluster) -> str:
    """Return the administrator's address of the bare cluster (database `postgres`)."""
    return postgres_cluster.server.url()


@pytest.fixture
async def database(postgres_cluster: PostgresCluster) -> AsyncIterator[Database]:
    """Return a migrated database of this test's own."""
    made = await postgres_cluster.create_database()
    yield made
    await postgres_cluster.drop_database(made.name)


@pytest.fixture
async def redis_url(valkey_server: ValkeyServer) -> str:
    """Return the address of an empty Redis (Valkey)."""
    client = redis.asyncio.Redis.from_url(valkey_server.url)
    await client.flushall()
    await client.aclose()
    return valkey_server.url


@pytest.fixture
def topic_prefix() -> str:
    """Return a prefix for topic names that no other test has."""
    return f"t{secrets.token_hex(4)}."
