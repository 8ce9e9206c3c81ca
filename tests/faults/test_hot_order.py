"""200 clients at once on one order, through two command services: serial versions, and a definite answer for each."""

import asyncio
import random
import re
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest

from command_api.errors import CONCURRENT_MODIFICATION
from command_api.orders.problems import ORDER_PROBLEMS
from tests.support.orders.builders import order_body
from tests.support.services.command_processes import CommandProcesses, command_processes
from tests.support.services.command_service import ORDERS
from tests.support.services.servers import Database
from tests.support.services.wire_client import Reply, Request, Swarm, make_request

WRITERS = 200
ORDERS_TRIED = 6
DEADLINE_S = 60.0
DEFINITE = {kind.code for kind in (*ORDER_PROBLEMS, CONCURRENT_MODIFICATION)}
LEGAL = {
    ("created", "authorized"),
    ("created", "authorized", "captured"),
    ("created", "authorized", "canceled"),
    ("created", "canceled"),
}


@dataclass(frozen=True, slots=True)
class Ask:
    """Something that can be asked of an order; `to_status` is None for a verb, which never succeeds idly."""

    method: str
    path: str
    to_status: str | None = None

    def request(self, order_id: str, key: str, api_key: str, request_id: str) -> Request:
        """Return it as a request."""
        body = b"" if self.to_status is None else orjson.dumps({"status": self.to_status})
        path = f"{ORDERS}/{order_id}/{self.path}"
        return make_request(self.method, path, key=key, api_key=api_key, body=body, request_id=request_id)


AUTHORIZE = Ask("POST", "authorize")
VERBS = (AUTHORIZE, Ask("POST", "captures"), Ask("POST", "cancel"))
SETTERS = tuple(Ask("PATCH", "status", to_status) for to_status in ("authorized", "captured", "canceled"))


@dataclass(frozen=True, slots=True)
class StoredChange:
    """One event of the order, and the id of the request that made it."""

    version: int
    to_status: str
    request_id: str


@pytest.fixture
async def services(database: Database, redis_url: str, tmp_path: Path) -> AsyncIterator[CommandProcesses]:
    async with command_processes(database, redis_url, tmp_path) as running:
        yield running


async def test_of_200_that_authorize_one_order_at_once_exactly_one_wins(
    services: CommandProcesses, database: Database
) -> None:
    order_id = await new_order(services)
    asked = {f"a-{number}": AUTHORIZE for number in range(WRITERS)}
    before = await appended_commands(services)

    replies = await ask_at_once(services, order_id, asked)

    assert {code_of(reply) for reply in replies if reply.answer.status == 409} <= {
        "already_authorized",
        "concurrent_modification",
    }
    assert Counter(reply.answer.status for reply in replies) == {200: 1, 409: WRITERS - 1}
    assert [change.to_status for change in await changes(database, order_id)] == ["created", "authorized"]
    assert await appended_commands(services) - before <= WRITERS * 2


@pytest.mark.timeout(600)
async def test_200_that_change_one_order_at_once_leave_serial_versions_and_answers_that_stay(
    services: CommandProcesses, database: Database
) -> None:
    for number in range(ORDERS_TRIED):
        # given an order, and 200 requests of every kind
        chance = random.Random(number)  # noqa: S311  # variety, not secrecy
        order_id = await new_order(services)
        asked = {f"o{number}-{each}": chance.choice(VERBS + SETTERS) for each in range(WRITERS)}
        before = await appended_commands(services)
        # when all are sent at once
        replies = await ask_at_once(services, order_id, asked)
        tell(replies, await appended_commands(services) - before)
        # then the order's history is one of those that the rules allow, and every answer is true of it
        history = await changes(database, order_id)
        assert [change.version for change in history] == list(range(1, len(history) + 1))
        assert tuple(change.to_status for change in history) in LEGAL
        assert_answers_fit(asked, replies, history)
        # and everybody decided at most once per version that the order ever had
        assert await appended_commands(services) - before <= WRITERS * len(history)
        # and when every recorded answer is asked for again, it is the same and nothing changes
        await assert_repeats_are_identical(services, order_id, asked, replies)
        assert await changes(database, order_id) == history


@pytest.mark.timeout(180)
async def test_100_who_note_something_on_one_order_through_four_processes_are_all_heard(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    async with command_processes(database, redis_url, tmp_path, count=4) as services:
        order_id = await new_order(services)
        notes = [
            make_request(
                "POST",
                f"{ORDERS}/{order_id}/notes",
                key=f"n-{number}",
                api_key=services.api_key,
                body=orjson.dumps({"note": f"number {number}"}),
                request_id=f"n-{number}",
            )
            for number in range(100)
        ]

        replies = await definite_replies(services.ports, notes)

        assert Counter(code_of(reply) for reply in replies) == {None: 100}
        assert sorted(version_of(reply) for reply in replies) == list(range(2, 102))
        history = await changes(database, order_id)
        assert [change.version for change in history] == list(range(1, 102))


async def new_order(services: CommandProcesses) -> str:
    request = make_request(
        "POST",
        ORDERS,
        key=secrets.token_hex(8),
        api_key=services.api_key,
        body=orjson.dumps(order_body()),
    )
    [reply] = await Swarm(services.ports, 1, [request]).run()
    order_id: str = orjson.loads(reply.answer.body)["id"]
    return order_id


async def ask_at_once(services: CommandProcesses, order_id: str, asked: dict[str, Ask]) -> list[Reply]:
    """Send everything at the same moment, half through each process; the id of a request is its key."""
    requests = [ask.request(order_id, key, services.api_key, key) for key, ask in asked.items()]
    return await definite_replies(services.ports, requests)


async def definite_replies(ports: Sequence[int], requests: Sequence[Request]) -> list[Reply]:
    """Return the answers, all within the deadline, none of them unknown, each 200 or a catalogued 409."""
    async with asyncio.timeout(DEADLINE_S):
        replies = await Swarm(ports, len(requests), requests).run()
    assert [reply.unknown for reply in replies] == [0] * len(requests)
    assert {reply.answer.status for reply in replies} <= {200, 409}
    assert {code_of(reply) for reply in replies if reply.answer.status == 409} <= DEFINITE
    return replies


def assert_answers_fit(asked: dict[str, Ask], replies: Sequence[Reply], history: Sequence[StoredChange]) -> None:
    """Check each answer against the events: who was told of a change made it, and nobody else did."""
    made = {change.request_id: change for change in history[1:]}
    status_at = {change.version: change.to_status for change in history}
    assert len(made) == len(history) - 1
    told: set[str] = set()
    for reply in replies:
        key, ask = reply.request.key, asked[reply.request.key]
        if reply.answer.status == 409:
            assert key not in made
            continue
        version = version_of(reply)
        if key in made:
            assert version == made[key].version
            told.add(key)
        else:  # it stood there already
            assert ask.to_status is not None, f"{key}: {ask} was answered 200 and made no event"
            assert status_at[version] == ask.to_status
    assert told == set(made)


async def assert_repeats_are_identical(
    services: CommandProcesses, order_id: str, asked: dict[str, Ask], replies: Sequence[Reply]
) -> None:
    """Send every request again to the other process; only a concurrent modification was not recorded."""
    recorded = [reply for reply in replies if code_of(reply) != CONCURRENT_MODIFICATION.code]
    first = {reply.request.key: reply.answer for reply in recorded}
    other_port = dict(zip(services.ports, reversed(services.ports), strict=True))
    requests = {
        port: [
            asked[reply.request.key].request(order_id, reply.request.key, services.api_key, "again")
            for reply in recorded
            if other_port[reply.port] == port
        ]
        for port in services.ports
    }
    for port, again in requests.items():
        for reply in await definite_replies([port], again) if again else ():
            answer = first[reply.request.key]
            assert (reply.answer.status, reply.answer.body) == (answer.status, answer.body)
            assert reply.answer.header("etag") == answer.header("etag")
            assert reply.answer.header("idempotency-replayed") == "true"


async def appended_commands(services: CommandProcesses) -> int:
    """Return how many commands the processes have sent to the append so far, repetitions after a conflict included."""
    total = 0
    async with httpx.AsyncClient() as client:
        for port in services.ports:
            metrics = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
            found = re.search(r"^harbor_append_batch_commands_sum ([0-9.e+]+)$", metrics, re.MULTILINE)
            total += int(float(found[1])) if found else 0
    return total


def tell(replies: Sequence[Reply], commands: int) -> None:
    """Print what was answered."""
    answers = Counter(code_of(reply) or "200" for reply in replies)
    sys.stdout.write(f"\n{WRITERS} on one order: {dict(answers)} with {commands} commands appended")


def code_of(reply: Reply) -> str | None:
    code: str | None = orjson.loads(reply.answer.body).get("code")
    return code


def version_of(reply: Reply) -> int:
    etag = reply.answer.header("etag")
    assert etag is not None
    return int(etag.strip('"'))


async def changes(database: Database, order_id: str) -> list[StoredChange]:
    """Return the order's events in the order of positions."""
    query = "SELECT version, type, correlation_id FROM harbor.events WHERE stream_id = $1 ORDER BY position"
    connection = await asyncpg.connect(database.admin_url)
    try:
        rows = await connection.fetch(query, UUID(order_id))
    finally:
        await connection.close()
    return [
        StoredChange(row["version"], row["type"].removeprefix("order."), row["correlation_id"] or "") for row in rows
    ]
