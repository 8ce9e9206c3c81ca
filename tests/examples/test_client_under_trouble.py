"""The client of examples/harbor_client when the network fails or the services are out of breath: real ones, made so."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from harbor_orders_client import BatchInterrupted, ConnectionFailed, OutcomeUnknown, RateLimited, Unavailable
from tests.demo.stack import Stack
from tests.support.services.command_process import CommandProcess, command_process
from tests.support.services.command_service import partner_key
from tests.support.services.harbor_clients import WANTED, Client, Pauses, all_of, client_of, did, new_orders
from tests.support.services.servers import Database
from tests.support.services.system import free_ports, running_system
from tests.support.services.tcp_proxy import CuttingProxy
from tests.support.services.webhooks import fetch
from tests.support.waiting import eventually

LITTLE = {"HARBOR_LIMITS__PARTNER_PER_S": "1", "HARBOR_LIMITS__PARTNER_BURST": "4"}
QUICKER = {"HARBOR_LIMITS__PARTNER_PER_S": "2", "HARBOR_LIMITS__PARTNER_BURST": "4"}
SLOW = {"HARBOR_LIMITS__PARTNER_PER_S": "1", "HARBOR_LIMITS__PARTNER_BURST": "60"}
AS_TOLD = (1.0, 1.25)
"""`Retry-After: 1`, and up to a quarter of a second so that not everybody comes back at once."""


class Ending:
    """Tells when the last bytes of a request have been sent, in however many pieces they come."""

    def __init__(self, last: bytes) -> None:
        self._last = last
        self._seen = b""

    def __call__(self, sent: bytes) -> bool:
        """Take what was sent; True when these bytes are its end."""
        self._seen = (self._seen + sent)[-len(self._last) :]
        return self._seen == self._last


OF_BODY = b"}"
OF_BATCH = b"}}]}"


@asynccontextmanager
async def through_proxy(
    kind: type[Client], key: str, service: CommandProcess, pauses: Pauses | None = None, **settings: Any
) -> AsyncIterator[tuple[CuttingProxy, Any]]:
    """Return a client of a command service, and the proxy between them."""
    address = urlsplit(service.url)
    async with (
        CuttingProxy(str(address.hostname), int(address.port or 0)) as proxy,
        client_of(kind, key, pauses, command_url=f"http://127.0.0.1:{proxy.port}", **settings) as harbor,
    ):
        yield proxy, harbor


@asynccontextmanager
async def limited(
    kind: type[Client],
    database: Database,
    directory: Path,
    rate: Mapping[str, str],
    pauses: Pauses | None = None,
    **settings: Any,
) -> AsyncIterator[Any]:
    """Return a client of a command service that takes requests at this rate."""
    key = await partner_key(database)
    async with (
        command_process(database, directory, **rate) as command,
        client_of(kind, key, pauses, command_url=command.url, **settings) as harbor,
    ):
        yield harbor


async def orders_in(database: Database) -> int:
    """Return how many orders there are."""
    [row] = await fetch(database, "SELECT count(*) AS orders FROM harbor.streams")
    return int(row["orders"])


@pytest.fixture
async def command(database: Database, tmp_path: Path) -> AsyncIterator[CommandProcess]:
    async with command_process(database, tmp_path) as running:
        yield running


async def test_when_the_answer_is_lost_the_order_is_sent_again_and_there_is_one(
    command: CommandProcess, database: Database, kind: type[Client]
) -> None:
    key, pauses = await partner_key(database), Pauses()
    async with through_proxy(kind, key, command, pauses) as (proxy, harbor):
        proxy.cut_after_request(Ending(OF_BODY))
        order = await did(harbor.orders.create, *WANTED)

    assert (proxy.cuts, len(pauses), order.version) == (1, 1, 1)
    assert await orders_in(database) == 1


async def test_when_the_answer_to_a_batch_is_lost_it_is_sent_again_and_nothing_is_there_twice(
    command: CommandProcess, database: Database, kind: type[Client]
) -> None:
    key = await partner_key(database)
    async with through_proxy(kind, key, command) as (proxy, harbor):
        proxy.cut_after_request(Ending(OF_BATCH))
        items = await did(harbor.orders.create_many, new_orders(20))

    assert proxy.cuts == 1
    assert [item.replayed for item in items] == [True] * 20
    assert await orders_in(database) == 20


async def test_when_patience_ends_in_doubt_the_error_gives_the_key_that_settles_it(
    command: CommandProcess, database: Database, kind: type[Client]
) -> None:
    key = await partner_key(database)
    async with through_proxy(kind, key, command, max_retries=0) as (proxy, harbor):
        proxy.cut_after_request(Ending(OF_BODY))
        with pytest.raises(OutcomeUnknown) as unknown:
            await did(harbor.orders.create, *WANTED)
        order = await did(harbor.orders.create, *WANTED, idempotency_key=unknown.value.idempotency_key)

    assert order.status == "pending"
    assert await orders_in(database) == 1


async def test_what_has_no_key_is_not_repeated_in_doubt(
    command: CommandProcess, database: Database, kind: type[Client]
) -> None:
    key, pauses = await partner_key(database, livemode=True), Pauses()
    async with through_proxy(kind, key, command, pauses) as (proxy, harbor):
        proxy.cut_after_request(Ending(OF_BODY))
        with pytest.raises(OutcomeUnknown) as unknown:
            await did(harbor.webhook_endpoints.create, "https://example.com/webhooks")
        made = await did(harbor.webhook_endpoints.list)
        proxy.cut_after_request(lambda request: request.startswith(b"DELETE "))
        await did(harbor.webhook_endpoints.delete, made[0].id)

    assert (unknown.value.idempotency_key, len(made), proxy.cuts) == (None, 1, 2)
    assert len(pauses) == 1  # the delete: found gone the second time, which is what was wanted


async def test_a_service_that_is_not_there_was_not_asked(kind: type[Client]) -> None:
    [port] = free_ports(1)
    pauses = Pauses()
    async with client_of(kind, "hbr_test_key", pauses, command_url=f"http://127.0.0.1:{port}", max_retries=2) as harbor:
        with pytest.raises(ConnectionFailed):
            await did(harbor.orders.create, *WANTED)

    assert len(pauses) == 2


async def test_a_service_that_comes_back_is_found_again(
    command: CommandProcess, database: Database, kind: type[Client]
) -> None:
    key, pauses = await partner_key(database), Pauses()
    await command.kill()
    async with client_of(kind, key, pauses, command_url=command.url, max_retries=50) as harbor:
        creating = asyncio.create_task(did(harbor.orders.create, *WANTED))
        await eventually(lambda: pauses)
        await command.start()
        order = await creating

    assert order.status == "pending"


async def test_429_waits_as_long_as_it_is_told_to(database: Database, tmp_path: Path, kind: type[Client]) -> None:
    pauses = Pauses()
    made = 0
    async with limited(kind, database, tmp_path, LITTLE, pauses) as harbor:
        while not pauses:  # the fifth within a second is told to wait
            await did(harbor.orders.create, *WANTED)
            made += 1

    assert made > 4
    assert await orders_in(database) == made
    assert all(AS_TOLD[0] <= pause <= AS_TOLD[1] for pause in pauses)


async def test_429_for_longer_than_there_is_time_is_said_at_once(
    database: Database, tmp_path: Path, kind: type[Client]
) -> None:
    pauses = Pauses()
    async with limited(kind, database, tmp_path, SLOW, pauses, total_timeout_s=10) as harbor:
        await did(harbor.orders.create_many, new_orders(30))
        with pytest.raises(BatchInterrupted) as refused:  # 30 are there, 25 come in 25 s, one more for the request
            await did(harbor.orders.create_many, new_orders(55))

    assert isinstance(refused.value.__cause__, RateLimited)
    assert 10 < (refused.value.__cause__.retry_after_s or 0) <= 26
    assert pauses == []


async def test_a_batch_above_the_rate_is_cut_to_what_the_rate_allows(
    database: Database, tmp_path: Path, kind: type[Client]
) -> None:
    async with limited(kind, database, tmp_path, QUICKER) as harbor:
        items = await did(harbor.orders.create_many, new_orders(6))

    assert [item.error for item in items] == [None] * 6
    assert await orders_in(database) == 6


async def test_an_interrupted_batch_goes_on_with_what_is_left(
    command: CommandProcess, database: Database, kind: type[Client]
) -> None:
    key, orders = await partner_key(database), new_orders(700)
    async with through_proxy(kind, key, command, max_retries=0) as (proxy, harbor):
        ending, ends = Ending(OF_BATCH), list[bytes]()

        def ends_second_batch(request: bytes) -> bool:
            ends.extend([request] if ending(request) else [])
            return len(ends) == 2

        proxy.cut_after_request(ends_second_batch)
        with pytest.raises(BatchInterrupted) as interrupted:
            await did(harbor.orders.create_many, orders)
        rest = await did(harbor.orders.create_many, interrupted.value.remaining)

    assert [len(interrupted.value.results), len(rest)] == [500, 200]
    assert isinstance(interrupted.value.__cause__, OutcomeUnknown)
    assert [item.new for item in [*interrupted.value.results, *rest]] == orders
    assert await orders_in(database) == 700


async def test_a_read_waits_for_a_read_model_that_is_behind(
    database: Database, tmp_path: Path, kind: type[Client]
) -> None:
    async with running_system(database, None, "", tmp_path) as (system, stack):
        await system.kill("worker")
        pauses = Pauses()
        async with _client(kind, stack, pauses) as harbor, _client(kind, stack, read_your_writes=False) as careless:
            order = await did(harbor.orders.create, *WANTED)
            listing = asyncio.create_task(all_of(harbor.orders.list()))
            reading = asyncio.create_task(did(harbor.orders.get, order.id))
            assert await all_of(careless.orders.list()) == []
            await eventually(lambda: len(pauses) >= 2)
            await system.start("worker")
            assert [await reading, await listing] == [order, [order]]

    assert all(AS_TOLD[0] <= pause <= AS_TOLD[1] for pause in pauses)


async def test_a_read_model_that_stays_behind_is_said_to_be(
    database: Database, tmp_path: Path, kind: type[Client]
) -> None:
    async with running_system(database, None, "", tmp_path) as (system, stack):
        await system.kill("worker")
        async with _client(kind, stack, max_retries=0) as harbor:
            order = await did(harbor.orders.create, *WANTED)
            with pytest.raises(Unavailable) as behind:
                await did(harbor.orders.get, order.id)

    assert (behind.value.code, behind.value.retryable) == ("projection_lagging", True)


def _client(kind: type[Client], stack: Stack, pauses: Pauses | None = None, **settings: Any) -> Any:
    addresses = {"command_url": stack.command_api, "query_url": stack.query_api}
    return client_of(kind, stack.api_key, pauses, **addresses, **settings)
