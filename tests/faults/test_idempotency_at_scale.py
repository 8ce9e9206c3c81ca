"""Many keys, many copies of each at once, two command services, kill -9: one order and one response per key."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import orjson
import pytest

from tests.support.orders.builders import order_body
from tests.support.services.command_processes import CommandProcesses, command_processes
from tests.support.services.command_service import ORDERS
from tests.support.services.servers import Database
from tests.support.services.wire_client import Reply, Request, Swarm, make_request
from tests.support.waiting import eventually

CONNECTIONS = 200
AT_ONCE = 8
"""Keys whose copies take turns, so that each key's are under way in both processes at the same time."""
TIMEOUT_S = 500.0
RECORDED_HEADERS = ("location", "etag", "consistency-token", "content-type")
"""Headers of the first response that every later one repeats."""


@dataclass(frozen=True, slots=True)
class Load:
    """So many copies of the request of each key; keys begin with `name`."""

    name: str
    keys: int
    copies: int

    @property
    def key_names(self) -> list[str]:
        return [f"{self.name}-{number:04}" for number in range(self.keys)]

    def requests(self, api_key: str) -> Iterator[Request]:
        """Return the copies, a few keys at a time: a, b, c, ..., a, b, c, ..."""
        made = [create_request(key, number, api_key) for number, key in enumerate(self.key_names)]
        for first in range(0, self.keys, AT_ONCE):
            for _ in range(self.copies):
                yield from made[first : first + AT_ONCE]


@pytest.fixture
async def services(database: Database, redis_url: str, tmp_path: Path) -> AsyncIterator[CommandProcesses]:
    async with command_processes(database, redis_url, tmp_path) as running:
        yield running


@pytest.mark.timeout(1200)
async def test_copies_of_a_request_at_once_and_across_kill_nine_make_one_order_and_get_one_response(
    services: CommandProcesses, database: Database, *, is_full: bool
) -> None:
    calm = Load("calm", 1000, 50) if is_full else Load("calm", 96, 25)
    killed = Load("killed", 1000, 50) if is_full else Load("killed", 240, 25)

    # when copies arrive at both processes at once
    swarm = Swarm(services.ports, CONNECTIONS, calm.requests(services.api_key))
    async with asyncio.timeout(TIMEOUT_S):
        replies = await swarm.run()
    # then each key has one order and one response, of which exactly one is the first
    assert_one_response_per_key(calm, replies)
    assert first_responses(replies) == dict.fromkeys(calm.key_names, 1)
    # a machine that stalls may keep a key from being looked up in its second
    assert sum(reply.unknown for reply in replies) < len(replies) // 10
    assert keys_of_both_processes(replies) > calm.keys * 0.5

    # and when the processes are killed meanwhile, and what has no response is sent again
    kills = 6 if is_full else 2
    disturbed = await run_with_kills(services, killed, kills)
    # then the same holds, except that a first response may have been lost
    assert_one_response_per_key(killed, disturbed)
    assert set(first_responses(disturbed).values()) == {1}
    assert sum(reply.unknown for reply in disturbed) >= kills

    await assert_one_order_per_key(database, (calm, killed), [*replies, *disturbed])


async def run_with_kills(services: CommandProcesses, load: Load, kills: int) -> list[Reply]:
    swarm = Swarm(services.ports, CONNECTIONS, load.requests(services.api_key))
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
        group.create_task(swarm.run())
        for number in range(1, kills + 1):
            due = number * load.keys * load.copies // (kills + 1)
            await eventually(partial(has_replies, swarm, due), timeout_s=TIMEOUT_S)
            await services.kill_and_restart(services.names[number % 2])
    return swarm.replies


def has_replies(swarm: Swarm, count: int) -> bool:
    return len(swarm.replies) >= count


def create_request(key: str, number: int, api_key: str) -> Request:
    """Return the request of a key; every other order has an external reference, which only one order may have."""
    reference = {"external_reference": key} if number % 2 else {}
    body = orjson.dumps(order_body(metadata={"key": key}, **reference))
    return make_request("POST", ORDERS, key=key, api_key=api_key, body=body)


def by_key(replies: Sequence[Reply]) -> dict[str, list[Reply]]:
    found: dict[str, list[Reply]] = defaultdict(list)
    for reply in replies:
        found[reply.request.key].append(reply)
    return found


def first_responses(replies: Sequence[Reply]) -> Counter[str]:
    """Count, per key, the responses that do not say that they repeat another."""
    return Counter(reply.request.key for reply in replies if reply.response.header("idempotency-replayed") != "true")


def keys_of_both_processes(replies: Sequence[Reply]) -> int:
    """Count the keys whose copies were answered by more than one process."""
    return sum(1 for of_key in by_key(replies).values() if len({reply.port for reply in of_key}) > 1)


def assert_one_response_per_key(load: Load, replies: Sequence[Reply]) -> None:
    """Check that all copies of a key got the same status, bytes and headers, and each key an order of its own."""
    assert {reply.response.status for reply in replies} == {201}
    found = by_key(replies)
    assert {key: len(of_key) for key, of_key in found.items()} == dict.fromkeys(load.key_names, load.copies)
    for key, of_key in found.items():
        assert len({reply.response.body for reply in of_key}) == 1, key
        assert len({tuple(map(reply.response.header, RECORDED_HEADERS)) for reply in of_key}) == 1, key
        order = orjson.loads(of_key[0].response.body)
        assert order["metadata"] == {"key": key}
        assert of_key[0].response.header("location") == f"{ORDERS}/{order['id']}"


async def assert_one_order_per_key(database: Database, loads: Sequence[Load], replies: Sequence[Reply]) -> None:
    """Check that the store holds the orders of the responses, created once each, and nothing else."""
    orders = {UUID(orjson.loads(of_key[0].response.body)["id"]) for of_key in by_key(replies).values()}
    keys = sorted(key for load in loads for key in load.key_names)
    connection = await asyncpg.connect(database.admin_url)
    try:
        events = await connection.fetch("SELECT stream_id, version, type FROM harbor.events")
        streams = await connection.fetch("SELECT stream_id, version FROM harbor.streams")
        recorded = await connection.fetch("SELECT key FROM harbor.recorded_responses")
        claims = await connection.fetch("SELECT stream_id FROM harbor.claims")
    finally:
        await connection.close()
    assert len(orders) == len(keys)
    assert sorted(map(tuple, events)) == sorted((order, 1, "order.created") for order in orders)
    assert sorted(map(tuple, streams)) == sorted((order, 1) for order in orders)
    assert sorted(row["key"] for row in recorded) == keys
    assert len(claims) == len(keys) // 2
