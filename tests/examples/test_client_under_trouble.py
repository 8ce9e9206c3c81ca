"""The client of examples/harbor_client when a response is lost or a read model is behind.

When it retries and how long it waits is proven in test_client_rules.py and test_client_batches.py without I/O, for both
kinds of client share all code but the exchange of one request; that exchange is tried with both kinds here. A service
that is killed, and one that limits the rate, are part of importing/test_import_process.py: it is the same code.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from harbor_orders_client import (
    AsyncHarborOrders,
    BatchInterrupted,
    ConnectionFailed,
    HarborOrders,
    OutcomeUnknown,
    Unavailable,
)
from tests.demo.stack import Stack
from tests.support.services.command_processes import CommandProcess, command_process
from tests.support.services.harbor_clients import WANTED, Client, Pauses, all_of, client_of, did, new_orders
from tests.support.services.ports import free_port
from tests.support.services.servers import PostgresCluster
from tests.support.services.system import System
from tests.support.services.tcp_proxy import CuttingProxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")
RETRY_AFTER_1 = (1.0, 1.25)
"""`Retry-After: 1`, and up to a quarter of a second so that not everybody comes back at once."""

OF_BODY = b"}"
OF_BATCH = b"}}]}"


class Ending:
    """Recognizes the last bytes of a request, in however many pieces they are sent."""

    def __init__(self, last: bytes, count: int = 1) -> None:
        self._last = last
        self._left = count
        self._seen = b""

    def __call__(self, sent: bytes) -> bool:
        """Take what was sent. Return whether these bytes end the last of `count` requests."""
        self._seen = (self._seen + sent)[-len(self._last) :]
        self._left -= self._seen == self._last
        return self._left == 0


@asynccontextmanager
async def through_proxy(
    process: CommandProcess, kind: type[Client], key: str, pauses: Pauses | None = None, **settings: Any
) -> AsyncIterator[tuple[CuttingProxy, Any]]:
    """Return a client, and the proxy between it and the service."""
    address = urlsplit(process.url)
    async with (
        CuttingProxy(str(address.hostname), int(address.port or 0)) as proxy,
        client_of(kind, key, pauses, command_url=f"http://127.0.0.1:{proxy.port}", **settings) as harbor,
    ):
        yield proxy, harbor


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def command(
    postgres_cluster: PostgresCluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CommandProcess]:
    database = await postgres_cluster.create_database()
    async with command_process(database, tmp_path_factory.mktemp("service")) as process:
        yield process
    await postgres_cluster.drop_database(database.name)


async def test_after_a_lost_response_the_order_is_sent_again_and_exists_once(
    command: CommandProcess, kind: type[Client]
) -> None:
    partner_id, key = await command.partner()
    pauses = Pauses()
    async with through_proxy(command, kind, key, pauses) as (proxy, harbor):
        proxy.cut_after_request(Ending(OF_BODY))
        order = await did(harbor.orders.create, *WANTED)

    assert (proxy.cuts, len(pauses), order.version) == (1, 1, 1)
    assert await command.orders_of(partner_id) == 1


async def test_a_service_that_is_not_there_was_not_asked(kind: type[Client]) -> None:
    url, pauses = f"http://127.0.0.1:{free_port()}", Pauses()
    async with client_of(kind, "hbr_test_key", pauses, command_url=url, max_retries=1) as harbor:
        with pytest.raises(ConnectionFailed, match=rf"cannot reach {url} \(Connection refused\)"):
            await did(harbor.orders.create, *WANTED)

    assert len(pauses) == 1


async def test_after_a_lost_response_a_batch_is_sent_again_and_nothing_exists_twice(command: CommandProcess) -> None:
    partner_id, key = await command.partner()
    async with through_proxy(command, AsyncHarborOrders, key) as (proxy, harbor):
        proxy.cut_after_request(Ending(OF_BATCH))
        items = await did(harbor.orders.create_many, new_orders(20))

    assert proxy.cuts == 1
    assert [item.replayed for item in items] == [True] * 20
    assert await command.orders_of(partner_id) == 20


async def test_a_change_without_a_key_is_not_repeated_while_its_outcome_is_unknown(command: CommandProcess) -> None:
    _, key = await command.partner(livemode=True)
    pauses = Pauses()
    async with through_proxy(command, AsyncHarborOrders, key, pauses) as (proxy, harbor):
        proxy.cut_after_request(Ending(OF_BODY))
        with pytest.raises(OutcomeUnknown) as unknown:
            await did(harbor.webhook_endpoints.create, "https://example.com/webhooks")
        made = await all_of(harbor.webhook_endpoints.list())
        proxy.cut_after_request(lambda request: request.startswith(b"DELETE "))
        await did(harbor.webhook_endpoints.delete, made[0].id)

    assert (unknown.value.idempotency_key, len(made), proxy.cuts) == (None, 1, 2)
    assert len(pauses) == 1  # the delete: found gone the second time, which is what was wanted


async def test_an_interrupted_batch_goes_on_with_what_remains(command: CommandProcess) -> None:
    partner_id, key = await command.partner()
    orders = new_orders(600)
    async with through_proxy(command, HarborOrders, key, max_retries=0) as (proxy, harbor):
        proxy.cut_after_request(Ending(OF_BATCH, count=2))
        with pytest.raises(BatchInterrupted) as interrupted:
            await did(harbor.orders.create_many, orders)
        rest = await did(harbor.orders.create_many, interrupted.value.remaining)

    assert [len(interrupted.value.results), len(rest)] == [500, 100]
    assert isinstance(interrupted.value.__cause__, OutcomeUnknown)
    assert [item.new for item in [*interrupted.value.results, *rest]] == orders
    assert await command.orders_of(partner_id) == 600


async def test_a_read_waits_for_a_read_model_that_is_behind_or_says_that_it_stays_so(
    running: tuple[System, Stack], own_key: str
) -> None:
    system, stack = running
    addresses: dict[str, Any] = {"command_url": stack.command_api, "query_url": stack.query_api}
    pauses = Pauses()
    async with (
        client_of(AsyncHarborOrders, own_key, pauses, **addresses, max_retries=20) as harbor,
        client_of(HarborOrders, own_key, **addresses, read_your_writes=False) as careless,
        client_of(HarborOrders, own_key, **addresses, max_retries=0) as impatient,
    ):
        await system.kill("worker")
        try:
            order = await did(harbor.orders.create, *WANTED)
            other = await did(impatient.orders.create, *WANTED)
            with pytest.raises(Unavailable) as behind:
                await did(impatient.orders.get, other.id)
            assert await all_of(careless.orders.list()) == []
            listing = asyncio.create_task(all_of(harbor.orders.list()))
            reading = asyncio.create_task(did(harbor.orders.get, order.id))
            await eventually(lambda: len(pauses) >= 2)
        finally:
            await system.start("worker")
        assert await reading == order
        assert order in await listing

    assert (behind.value.code, behind.value.retryable) == ("projection_lagging", True)
    assert all(RETRY_AFTER_1[0] <= pause <= RETRY_AFTER_1[1] for pause in pauses)
