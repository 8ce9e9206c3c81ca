"""A connection cut at the commit loses and doubles nothing; `tests/faults` has the races."""

from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from infra.event_store.postgres import PostgresEventStore, open_event_store
from infra.event_store.protocol import Appended
from infra.settings import PostgresSettings
from tests.support.event_store.append_commands import a_command
from tests.support.services.servers import Database
from tests.support.services.tcp_proxy import CuttingProxy


async def test_after_a_connection_cut_at_the_commit_the_outcome_is_found_by_sending_again(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    address = urlsplit(database.command_url)
    assert address.hostname
    assert address.port
    async with CuttingProxy(address.hostname, address.port) as proxy:
        credentials = address.netloc.rpartition("@")[0]
        url = urlunsplit(address._replace(netloc=f"{credentials}@127.0.0.1:{proxy.port}"))
        settings = PostgresSettings(url=SecretStr(url))
        async with open_event_store(settings, postgres_store._pool()) as store:
            await store.append(a_command())
            proxy.cut_after_request(lambda chunk: b"cut-me" in chunk)
            outcome = await store.append(a_command(key="cut-me", events=2))

    assert proxy.cuts == 1
    assert isinstance(outcome, Appended)
    assert (outcome.version, outcome.position) == (2, 3)
    assert await postgres_store.head() == 3
