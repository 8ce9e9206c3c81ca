"""1,000 keys, 50 copies of each at once, two command services, kill -9: one order and one answer per key."""

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import orjson
import pytest

from infra import clock
from tests.support.orders.builders import order_body
from tests.support.services.command_processes import CommandProcesses, command_processes
from tests.support.services.command_service import ORDERS
from tests.support.services.servers import Database
from tests.support.services.wire_client import Reply, Request, Swarm, make_request
from tests.support.waiting import eventually

KEYS = 1_000
COPIES = 50
CONNECTIONS = 200
AT_ONCE = 8
"""Keys whose copies take turns, so that each key's are under way in every process at the same time."""
KILLS = 6
ROUND_S = 500.0
OF_THE_RECORD = ("location", "etag", "consistency-token", "content-type")
"""Headers of the first answer that every later one repeats."""


@pytest.fixture
async def services(database: Database, redis_url: str, tmp_path: Path) -> AsyncIterator[CommandProcesses]:
    async with command_processes(database, redis_url, tmp_path) as running:
        yield running


@pytest.mark.timeout(600)
async def test_fifty_copies_of_a_request_at_once_make_one_order_and_get_one_answer(
    services: CommandProcesses, database: Database
) -> None:
    started_s = clock.monotonic_s()
    async with asyncio.timeout(ROUND_S):
        replies = await Swarm(services.ports, CONNECTIONS, copies(services.api_key)).run()
    tell(replies, clock.monotonic_s() - started_s)

    assert_one_answer_per_key(replies)
    # None but those that came while a machine that stood still kept a key from being looked up in its second.
    assert sum(reply.unknown for reply in replies) < KEYS * COPIES // 10
    assert first_answers(replies) == dict.fromkeys(map(key_of, range(KEYS)), 1)
    assert (
        raced(replies) > KEYS * 0.5
    )  # nearly all, but for those that one process answers while the other stands still
    await assert_one_order_per_key(database, replies)


@pytest.mark.timeout(600)
async def test_copies_sent_again_after_kill_nine_make_one_order_and_get_one_answer(
    services: CommandProcesses, database: Database
) -> None:
    started_s = clock.monotonic_s()
    swarm = Swarm(services.ports, CONNECTIONS, copies(services.api_key))
    async with asyncio.timeout(ROUND_S), asyncio.TaskGroup() as group:
        group.create_task(swarm.run())
        for number in range(1, KILLS + 1):
            due = number * KEYS * COPIES // (KILLS + 1)
            await eventually(partial(has_answers, swarm, due), timeout_s=ROUND_S)
            await services.kill_and_restart(services.names[number % 2])
    tell(swarm.replies, clock.monotonic_s() - started_s)

    assert_one_answer_per_key(swarm.replies)
    assert sum(reply.unknown for reply in swarm.replies) >= KILLS
    assert all(count == 1 for count in first_answers(swarm.replies).values())
    await assert_one_order_per_key(database, swarm.replies)


def has_answers(swarm: Swarm, count: int) -> bool:
    return len(swarm.replies) >= count


def key_of(number: int) -> str:
    return f"key-{number:04}"


def copies(api_key: str) -> Iterator[Request]:
    """Return the copies of all keys, a few keys at a time: a, b, c, ..., a, b, c, ..."""
    for first in range(0, KEYS, AT_ONCE):
        together = [create_request(number, api_key) for number in range(first, first + AT_ONCE)]
        for _ in range(COPIES):
            yield from together


def create_request(number: int, api_key: str) -> Request:
    """Return the request of a key; every other order has an external reference, which only one order may have."""
    key = key_of(number)
    reference = {"external_reference": key} if number % 2 else {}
    body = orjson.dumps(order_body(metadata={"key": key}, **reference))
    return make_request("POST", ORDERS, key=key, api_key=api_key, body=body)


def by_key(replies: Sequence[Reply]) -> dict[str, list[Reply]]:
    found: dict[str, list[Reply]] = defaultdict(list)
    for reply in replies:
        found[reply.request.key].append(reply)
    return found


def first_answers(replies: Sequence[Reply]) -> Counter[str]:
    """Count, per key, the answers that do not say that they repeat another."""
    return Counter(reply.request.key for reply in replies if reply.answer.header("idempotency-replayed") != "true")


def raced(replies: Sequence[Reply]) -> int:
    """Count the keys whose copies were answered by more than one process."""
    return sum(1 for of_key in by_key(replies).values() if len({reply.port for reply in of_key}) > 1)


def assert_one_answer_per_key(replies: Sequence[Reply]) -> None:
    """Check that all copies of a key got the same status, bytes and headers, and each key an order of its own."""
    assert Counter(reply.answer.status for reply in replies) == {201: KEYS * COPIES}
    found = by_key(replies)
    assert {key: len(of_key) for key, of_key in found.items()} == dict.fromkeys(map(key_of, range(KEYS)), COPIES)
    for key, of_key in found.items():
        assert len({reply.answer.body for reply in of_key}) == 1, key
        assert len({tuple(map(reply.answer.header, OF_THE_RECORD)) for reply in of_key}) == 1, key
        order = orjson.loads(of_key[0].answer.body)
        assert order["metadata"] == {"key": key}
        assert of_key[0].answer.header("location") == f"{ORDERS}/{order['id']}"


async def assert_one_order_per_key(database: Database, replies: Sequence[Reply]) -> None:
    """Check that the store holds the orders of the answers, created once each, and nothing else."""
    answered = {UUID(orjson.loads(of_key[0].answer.body)["id"]) for of_key in by_key(replies).values()}
    connection = await asyncpg.connect(database.admin_url)
    try:
        events = await connection.fetch("SELECT stream_id, version, type FROM harbor.events")
        streams = await connection.fetch("SELECT stream_id, version FROM harbor.streams")
        keys = await connection.fetch("SELECT key FROM harbor.recorded_responses")
        claims = await connection.fetch("SELECT stream_id FROM harbor.claims")
    finally:
        await connection.close()
    assert len(answered) == KEYS
    assert sorted(map(tuple, events)) == sorted((order, 1, "order.created") for order in answered)
    assert sorted(map(tuple, streams)) == sorted((order, 1) for order in answered)
    assert sorted(row["key"] for row in keys) == [key_of(number) for number in range(KEYS)]
    assert len(claims) == KEYS // 2


def tell(replies: Sequence[Reply], seconds: float) -> None:
    """Print the figures."""
    unknown = sum(reply.unknown for reply in replies)
    ports = dict(Counter(reply.port for reply in replies))
    sys.stdout.write(
        f"\n{len(replies):,} answers to {KEYS:,} keys in {seconds:.1f} s ({len(replies) / seconds:,.0f}/s), by port "
        f"{ports}; keys answered by both: {raced(replies)}; outcomes unknown and sent again: {unknown}; "
        f"keys whose first answer was lost: {KEYS - len(first_answers(replies))}\n"
    )
