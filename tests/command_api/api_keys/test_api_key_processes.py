"""A key that is revoked over HTTP opens nothing in any process within five seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from infra import clock
from tests.support.orders.builders import order_body
from tests.support.services.command_processes import CommandProcesses, command_processes
from tests.support.services.command_service import ORDERS, id_of
from tests.support.services.servers import Database
from tests.support.waiting import POLL_S

PROMISED_S = 5.0
LONGEST_LOOK_S = 0.25
"""One look takes some milliseconds; of a longer one the rest is put down to the machine."""


async def is_true_while_running(predicate: Callable[[], Awaitable[bool]], limit_s: float) -> None:
    """Wait until the predicate is true, within `limit_s` seconds in which the machine ran: a stall does not count."""
    ran_s, looked_s = 0.0, clock.monotonic_s()
    while not await predicate():
        await asyncio.sleep(POLL_S)
        now_s = clock.monotonic_s()
        ran_s, looked_s = ran_s + min(now_s - looked_s, LONGEST_LOOK_S), now_s
        assert ran_s < limit_s


async def statuses(services: CommandProcesses, client: aiohttp.ClientSession) -> list[int]:
    """Send an order to every process with the partner's key."""
    found = []
    for port in services.ports:
        headers = {"authorization": f"Bearer {services.api_key}", "idempotency-key": clock.new_id_text()}
        async with client.post(f"http://127.0.0.1:{port}{ORDERS}", json=order_body(), headers=headers) as answer:
            found.append(answer.status)
    return found


async def test_a_key_revoked_through_one_process_is_refused_by_all_within_five_seconds(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    async with command_processes(database, redis_url, tmp_path) as services, aiohttp.ClientSession() as client:
        before = await statuses(services, client)
        key_id = id_of(services.api_key)
        address = f"http://127.0.0.1:{services.ports[0]}/api/v1/api-keys/{key_id}/revoke"
        async with client.post(address, headers={"authorization": f"Bearer {services.api_key}"}) as revoked:
            status = revoked.status

        async def all_refuse() -> bool:
            return await statuses(services, client) == [401, 401]

        await is_true_while_running(all_refuse, PROMISED_S)

    assert before == [201, 201]
    assert status == 200
