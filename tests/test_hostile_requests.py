"""Whatever arrives on a socket, at either service: a small refusal in time, and nothing is written.

The requests are those of the tables in `tests/support`; here they go as bytes, with another request behind each.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
import pytest

from command_api.app import create_app
from infra import clock
from infra.http.app import ServiceApp
from infra.http.pages.errors import read_errors
from infra.http.problems import MAX_PROBLEM_BYTES
from tests.support.requests.hostile import HEADS, LAST, OF_COMMAND, OF_QUERY, Hostile, hostile_requests
from tests.support.requests.route_matrix import ServiceName, app_of
from tests.support.services.command_service import command_settings, partner_key
from tests.support.services.servers import Database
from tests.support.services.small_service import listening, talk

PAGES = read_errors()
"""What the address in `type` leads to, at either service."""
STATUS_OF_CODE = {kind.code: kind.status for kind in PAGES.problems}
MEMBERS_OF_CODE = {kind.code: {member.name for member in kind.members} for kind in PAGES.problems}
OF_EVERY_PROBLEM = {"type", "title", "status", "detail", "instance", "code", "request_id", "retryable"}
SENTENCE = re.compile(r"[A-Z].*\.")
AT_ONCE = 8
ANSWERED_WITHIN_S = 20.0
"""More than any deadline of a service, and a while for a machine that stalls; whatever waits for one has its status."""
BODY_DEADLINE_S = 3.0
WRITTEN = """
    SELECT (SELECT count(*) FROM harbor.events), (SELECT count(*) FROM harbor.recorded_responses),
        (SELECT count(*) FROM harbor.webhook_endpoints), (SELECT count(*) FROM harbor.api_key_events)
"""
SERVICES = pytest.mark.parametrize("service", ["command", "query"])

NAMED = {
    "JSON": "empty|half an object|trailing comma|a text|UTF-8 mark|UTF-16|invalid UTF-8|raw control byte|duplicate key|"
    "NaN|Infinity|1e999|nesting of 900|nesting of 10^6|integer of 4,301 digits|lone surrogate|null character|"
    "80,000 unknown fields|200,000 empty lines|10 MB",
    "money and numbers": "1E+1000000|0E+1000000|money: NaN|-0|1_000|Arabic digits|full-width digits|space before|+1|"
    "leading zero|a JSON float|10^5 digits|quantity true|quantity as text|quantity 1.0|quantity 1e2|overflows",
    "text": "sku with ESC|sku with CR LF|bidi override|zero-width|sku of 10^5 marks",
    "time and ids": "an id of 2^63|"
    "an id in upper case|an id in braces|an id without dashes|created_to=1764000000|2026-11-23T01:02:03|9999-12-31",
    "query strings": "limit=-1|limit=9223372036854775808|limit=1&limit=1|api_key|%00|cursor=x|cursor=AAAA",
    "HTTP": "two lengths|length and chunking|no Host|two Hosts|HTTP/0.9|a bare LF|a folded header|a header of 1 MB|"
    "20,000 headers|TRACE|gzip|text/plain",
    "idempotency": "no idempotency key|an empty idempotency key|an idempotency key of 8 KB|two idempotency keys",
    "auth": "in the address|a key in Latin-1|a key of 100 KB|two credentials|a wrong checksum",
    "webhook URLs": "scheme_not_allowed|url_malformed|address_denied|userinfo_not_allowed|"
    "port_not_allowed|url_too_long",
}  # fmt: skip
"""The classes of input that are promised to be refused, with a part of the name of a request for each example of it.

Revoked and expired keys, other bodies and routes under one key, fifty copies at once, and records of the topic have
suites of their own: they are no single request.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer on a connection: its status, its head in lower case, its body, and how long that says it is."""

    status: int
    headers: bytes
    body: bytes
    length: int


def parsed(received: bytes) -> Answer:
    head, _, rest = received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    length = next((int(line[16:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
    return Answer(int(lines[0].split(b" ")[1]), head.lower(), rest[:length], length)


@dataclass(frozen=True, slots=True)
class Listening:
    name: ServiceName
    port: int
    key: str
    database: Database

    async def written(self) -> tuple[int, ...]:
        """Count what a service can write."""
        [row] = await self.database.fetch(WRITTEN)
        return tuple(row)


@pytest.fixture
async def running(database: Database, service: ServiceName) -> AsyncIterator[Listening]:
    key = await partner_key(database)
    async with listening(app_of(service, database)) as port:
        yield Listening(service, port, key, database)


@pytest.fixture
async def lenient(database: Database) -> AsyncIterator[Listening]:
    """Return a command service whose deadlines lie so far apart that a machine that stalls does not skip one."""
    key = await partner_key(database)
    app: ServiceApp = create_app(command_settings(database, request_deadline_s=BODY_DEADLINE_S))
    async with listening(app) as port:
        yield Listening("command", port, key, database)


async def first_answer(port: int, raw: bytes) -> bytes:
    """Send bytes and give the first answer; the server may go on reading what it was promised: nobody waits."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        async with asyncio.timeout(2 * ANSWERED_WITHIN_S):
            head = await reader.readuntil(b"\r\n\r\n")
            return head + await reader.readexactly(parsed(head).length)
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        return b""
    finally:
        writer.close()


def judged_errors(hostile: Hostile, errors: list[dict[str, str]]) -> list[str]:
    """Return what is wrong with the `errors` of an answer."""
    wrong = []
    if hostile.field_code not in {None, *(each["code"] for each in errors)}:
        wrong.append(f"errors {errors}")
    if unknown := {each["code"] for each in errors} - PAGES.fields.keys():
        wrong.append(f"codes without a page: {unknown}")
    if fragments := [each["detail"] for each in errors if not SENTENCE.fullmatch(each["detail"])]:
        wrong.append(f"no sentences: {fragments}")
    if hostile.pointer is not None and errors[0]["pointer"] != hostile.pointer:
        wrong.append(f"pointer {errors[0]['pointer']}")
    return wrong


def judged(hostile: Hostile, received: bytes) -> list[str]:
    """Return what is wrong with an answer."""
    if not received:
        return ["no answer"]
    answer = parsed(received)
    if answer.status not in hostile.statuses:
        return [f"status {answer.status}: {answer.body[:200]!r}"]
    if b"content-type: application/problem+json" not in answer.headers or b"x-request-id: " not in answer.headers:
        return ["no problem document with a request id"]
    problem = orjson.loads(answer.body)
    wrong = []
    if problem["request_id"].lower().encode() not in answer.headers:
        wrong.append("another request id than in the header")
    if STATUS_OF_CODE.get(problem["code"]) != answer.status or hostile.code not in {None, problem["code"]}:
        wrong.append(f"code {problem['code']}")
    members = problem.keys() - OF_EVERY_PROBLEM - {"errors", "errors_omitted"}
    if members != MEMBERS_OF_CODE.get(problem["code"]):
        wrong.append(f"members {members}")
    wrong += judged_errors(hostile, problem.get("errors", []))
    if len(answer.body) > MAX_PROBLEM_BYTES:
        wrong.append(f"{len(answer.body)} bytes")
    return wrong


@SERVICES
async def test_every_hostile_request_is_refused_with_a_small_problem_and_writes_nothing(running: Listening) -> None:
    before = await running.written()
    at_once, wrong = asyncio.Semaphore(AT_ONCE), {}

    async def send(hostile: Hostile) -> None:
        async with at_once:
            started_s = clock.monotonic_s()
            found = judged(hostile, await first_answer(running.port, hostile.raw))
            if clock.monotonic_s() - started_s > ANSWERED_WITHIN_S:
                found.append("too late")
            if found:
                wrong[hostile.name] = found

    async with asyncio.TaskGroup() as group:
        for hostile in hostile_requests(running.name, running.key):
            group.create_task(send(hostile))

    assert not wrong, "\n".join(f"{name}: {found}" for name, found in wrong.items())
    assert await running.written() == before


def test_there_are_hundreds_of_them_and_each_class_that_is_promised_is_among_them() -> None:
    names = [f"{group}: {name}" for group, table in (("head", HEADS),) for name in table]
    names += [*OF_COMMAND, *OF_QUERY]

    distinct = {hostile.raw for service in ("command", "query") for hostile in hostile_requests(service, "k")}
    assert len(OF_COMMAND) + len(HEADS) >= 250
    assert len(OF_QUERY) + len(HEADS) >= 100
    assert len(distinct) >= 380
    missing = [
        (group, part)
        for group, parts in NAMED.items()
        for part in parts.split("|")
        if not any(part in n for n in names)
    ]
    assert missing == []


async def trickled(port: int, head: bytes, body: bytes, pace_s: float = 0.05) -> tuple[bytes, float]:
    """Send the body a byte at a time until the server responds; return what it said, and after how many seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started_s = clock.monotonic_s()
    received = b""
    try:
        writer.write(head)
        for byte in body:
            writer.write(bytes([byte]))
            try:
                async with asyncio.timeout(pace_s):
                    received = await reader.read(65536)
                    break
            except TimeoutError:
                continue
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            received += await reader.read()
    except ConnectionError:
        pass
    finally:
        writer.close()
    return received, clock.monotonic_s() - started_s


async def test_a_body_that_trickles_or_stops_is_refused_before_the_deadline_of_the_request(lenient: Listening) -> None:
    head = (
        f"POST /api/v1/orders HTTP/1.1\r\nhost: orders.test\r\nauthorization: Bearer {lenient.key}\r\n"
        "idempotency-key: k\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 500\r\n\r\n"
    ).encode()
    before = await lenient.written()

    (trickle, took_s), stopped = await asyncio.gather(
        trickled(lenient.port, head, b"{" * 499), talk(lenient.port, head + b"{", ANSWERED_WITHIN_S)
    )

    assert [parsed(received).status for received in (trickle, stopped)] == [408, 408]
    assert all(b"body_timeout" in received for received in (trickle, stopped))
    assert took_s < ANSWERED_WITHIN_S, "to send it all takes twice as long"
    assert await lenient.written() == before


@pytest.mark.parametrize("service", ["command"])
async def test_a_chunked_body_without_end_is_refused_when_it_is_too_large(running: Listening) -> None:
    head = (
        f"POST /api/v1/orders HTTP/1.1\r\nhost: orders.test\r\nauthorization: Bearer {running.key}\r\n"
        "idempotency-key: k\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    ).encode()
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"

    received = await talk(running.port, head + chunk * 40 + b"0\r\n\r\n" + LAST, ANSWERED_WITHIN_S)

    assert parsed(received).status == 413
    assert received.count(b"HTTP/1.1 ") == 2, "the rest was dropped and the next request served"
