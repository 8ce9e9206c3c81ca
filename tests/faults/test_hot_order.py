"""200 clients at once on one order, through four command services: serial versions and a definite response for each."""

import asyncio
import random
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest
import pytest_asyncio

from command_api.errors import CONCURRENT_MODIFICATION
from command_api.order_problems import ORDER_PROBLEMS
from infra.local.servers.valkey import ValkeyServer
from tests.support.orders.builders import order_body
from tests.support.services.command_processes import CommandProcesses, command_processes
from tests.support.services.command_service import ORDERS
from tests.support.services.servers import Database, PostgresCluster
from tests.support.services.wire_client import Reply, Request, Swarm, make_request

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

WRITERS = 200
DEADLINE_S = 60.0
DEFINITE = {kind.code for kind in (*ORDER_PROBLEMS, CONCURRENT_MODIFICATION)}
LEGAL = {
    ("created", "authorized"),
    ("created", "authorized", "captured"),
    ("created", "authorized", "canceled"),
    ("created", "canceled"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """A request to change an order; `to_status` is None for a verb, which succeeds only if it changes something."""

    method: str
    path: str
    to_status: str | None = None

    def request(self, order_id: str, key: str, api_key: str, request_id: str) -> Request:
        body = b"" if self.to_status is None else orjson.dumps({"status": self.to_status})
        path = f"{ORDERS}/{order_id}/{self.path}"
        return make_request(self.method, path, key=key, api_key=api_key, body=body, request_id=request_id)


VERBS = (Change("POST", "authorize"), Change("POST", "captures"), Change("POST", "cancel"))
SETTERS = tuple(Change("PATCH", "status", to_status) for to_status in ("authorized", "captured", "canceled"))


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event of the order, and the id of the request that made it."""

    version: int
    to_status: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Running:
    """The processes and their database."""

    services: CommandProcesses
    database: Database

    async def new_order(self) -> str:
        body = orjson.dumps(order_body())
        request = make_request("POST", ORDERS, key=secrets.token_hex(8), api_key=self.services.api_key, body=body)
        [reply] = await Swarm(self.services.ports, 1, [request]).run()
        return str(orjson.loads(reply.response.body)["id"])

    async def send_at_once(self, order_id: str, changes: dict[str, Change]) -> list[Reply]:
        """Send everything at the same moment, spread over the processes; the id of a request is its key."""
        requests = [change.request(order_id, key, self.services.api_key, key) for key, change in changes.items()]
        return await definite_replies(self.services.ports, requests)

    async def history(self, order_id: str) -> list[StoredEvent]:
        """Return the order's events in the order of positions."""
        query = "SELECT version, type, correlation_id FROM harbor.events WHERE stream_id = $1 ORDER BY position"
        connection = await asyncpg.connect(self.database.admin_url)
        try:
            rows = await connection.fetch(query, UUID(order_id))
        finally:
            await connection.close()
        return [
            StoredEvent(version, kind.removeprefix("order."), request_id or "") for version, kind, request_id in rows
        ]

    async def appended_commands(self) -> int:
        """Return how many commands the processes have sent to the append, repetitions after a conflict included."""
        total = 0.0
        async with httpx.AsyncClient() as client:
            for port in self.services.ports:
                metrics = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
                found = re.search(r"^harbor_append_batch_commands_sum ([0-9.e+]+)$", metrics, re.MULTILINE)
                total += float(found[1]) if found else 0
        return int(total)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    postgres_cluster: PostgresCluster, valkey_server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    database = await postgres_cluster.create_database()
    logs = tmp_path_factory.mktemp("services")
    async with command_processes(database, valkey_server.url, logs, count=4) as services:
        yield Running(services, database)
    await postgres_cluster.drop_database(database.name)


async def test_200_that_change_one_order_at_once_leave_serial_versions_and_responses_that_stay(
    running: Running, *, is_full: bool
) -> None:
    for number in range(7 if is_full else 3):
        # given an order, and 200 requests: all the same at first, then of every kind
        chance = random.Random(number)  # noqa: S311  # variety, not secrecy
        order_id = await running.new_order()
        kinds = VERBS + SETTERS if number else VERBS[:1]
        changes = {f"o{number}-{each}": chance.choice(kinds) for each in range(WRITERS)}
        before = await running.appended_commands()
        # when all are sent at once
        replies = await running.send_at_once(order_id, changes)
        # then the order's history is one of those that the rules allow, and every response is true of it
        history = await running.history(order_id)
        assert [event.version for event in history] == list(range(1, len(history) + 1))
        assert tuple(event.to_status for event in history) in LEGAL
        assert_responses_fit(changes, replies, history)
        # and each request was decided at most once per version that the order ever had
        assert await running.appended_commands() - before <= WRITERS * len(history)
        # and a recorded response that is asked for again is the same, and nothing changes
        await assert_repeats_are_identical(running.services, order_id, changes, replies)
        assert await running.history(order_id) == history


async def test_100_notes_on_one_order_at_once_are_all_kept(running: Running) -> None:
    order_id = await running.new_order()
    notes = [
        make_request(
            "POST",
            f"{ORDERS}/{order_id}/notes",
            key=f"n-{number}",
            api_key=running.services.api_key,
            body=orjson.dumps({"note": f"number {number}"}),
            request_id=f"n-{number}",
        )
        for number in range(100)
    ]

    replies = await definite_replies(running.services.ports, notes)

    assert Counter(code_of(reply) for reply in replies) == {None: 100}
    assert sorted(version_of(reply) for reply in replies) == list(range(2, 102))
    assert [event.version for event in await running.history(order_id)] == list(range(1, 102))


async def definite_replies(ports: Sequence[int], requests: Sequence[Request]) -> list[Reply]:
    """Return the replies: all within the deadline, no outcome unknown, each 200 or a catalogued 409."""
    async with asyncio.timeout(DEADLINE_S):
        replies = await Swarm(ports, len(requests), requests).run()
    assert [reply.unknown for reply in replies] == [0] * len(requests)
    assert {reply.response.status for reply in replies} <= {200, 409}
    assert {code_of(reply) for reply in replies if reply.response.status == 409} <= DEFINITE
    return replies


def assert_responses_fit(changes: dict[str, Change], replies: Sequence[Reply], history: Sequence[StoredEvent]) -> None:
    """Check each response against the events: a request made an event exactly if its response says so."""
    made = {event.request_id: event for event in history[1:]}
    status_at = {event.version: event.to_status for event in history}
    assert len(made) == len(history) - 1
    successful: set[str] = set()
    for reply in replies:
        key, change = reply.request.key, changes[reply.request.key]
        if reply.response.status == 409:
            assert key not in made
        elif key in made:
            assert version_of(reply) == made[key].version
            successful.add(key)
        else:  # the order had that status already
            assert change.to_status is not None, f"{key}: {change} got 200 and made no event"
            assert status_at[version_of(reply)] == change.to_status
    assert successful == set(made)


async def assert_repeats_are_identical(
    services: CommandProcesses, order_id: str, changes: dict[str, Change], replies: Sequence[Reply]
) -> None:
    """Send every request again to another process; only a concurrent modification was not recorded."""
    recorded = [reply for reply in replies if code_of(reply) != CONCURRENT_MODIFICATION.code]
    first = {reply.request.key: reply.response for reply in recorded}
    for port, other_port in zip(services.ports, reversed(services.ports), strict=True):
        keys = [reply.request.key for reply in recorded if reply.port == port]
        again = [changes[key].request(order_id, key, services.api_key, "again") for key in keys]
        for reply in await definite_replies([other_port], again) if again else ():
            response = first[reply.request.key]
            assert (reply.response.status, reply.response.body) == (response.status, response.body)
            assert reply.response.header("etag") == response.header("etag")
            assert reply.response.header("idempotency-replayed") == "true"


def code_of(reply: Reply) -> str | None:
    code: str | None = orjson.loads(reply.response.body).get("code")
    return code


def version_of(reply: Reply) -> int:
    etag = reply.response.header("etag")
    assert etag is not None
    return int(etag.strip('"'))
