"""Racing writer processes, terminated backends, connections cut at the commit: nothing lost, doubled or skipped."""

import asyncio
import random
import sys
from collections import Counter
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from pydantic import SecretStr

from infra.events import Appended, StoredEvent
from infra.postgres.event_store import PostgresEventStore, open_event_store
from infra.settings import PostgresSettings
from tests.support.append_commands import a_command
from tests.support.servers import Database
from tests.support.tcp_proxy import CuttingProxy
from tests.support.waiting import eventually

WRITERS = 2
COMMANDS = 2000
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'harbor-append'"


async def test_racing_writers_whose_backends_are_terminated_lose_double_and_skip_nothing(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    writers = [await start_writer(database.command_url, f"w{number}") for number in range(WRITERS)]
    outputs = asyncio.gather(*(writer.communicate() for writer in writers))

    seen: list[StoredEvent] = []
    terminated = 0
    due = 200
    while not outputs.done():
        seen.extend(await postgres_store.read_all(len(seen), 500))
        if len(seen) >= due:  # by progress, not by time: however fast the writers are, some are met in the middle
            terminated += len(await admin.fetch(TERMINATE))
            due = len(seen) + random.randint(200, 800)  # noqa: S311  # variety, not secrecy
        await asyncio.wait([outputs], timeout=0.002)
    while batch := await postgres_store.read_all(len(seen), 500):
        seen.extend(batch)

    lines = [line.split() for out, _ in await outputs for line in out.decode().splitlines()]
    acknowledged = [line for line in lines if line[:1] == ["ack"]]
    assert not any("append.failed" in line for line in lines)
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert terminated > 0
    assert len(acknowledged) == WRITERS * COMMANDS
    assert [event.position for event in seen] == list(range(1, 2 * WRITERS * COMMANDS + 1))
    assert max(Counter(event.event_id for event in seen).values()) == 1
    last_of = {(event.position, event.version) for event in seen}
    assert all((int(position), int(version)) in last_of for _, _, version, position in acknowledged)
    assert_streams_count_from_one(seen)
    await admin.close()


async def test_a_connection_cut_at_the_commit_is_settled_by_sending_again(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    address = urlsplit(database.command_url)
    assert address.hostname
    assert address.port
    async with CuttingProxy(address.hostname, address.port) as proxy:
        credentials = address.netloc.rpartition("@")[0]
        url = urlunsplit(address._replace(netloc=f"{credentials}@127.0.0.1:{proxy.port}"))
        settings = PostgresSettings(url=SecretStr(url))
        async with open_event_store(settings, postgres_store._pool) as store:
            await store.append(a_command())
            proxy.cut_after_request(lambda chunk: b"cut-me" in chunk)
            outcome = await store.append(a_command(key="cut-me", events=2))

    assert proxy.cuts == 1
    assert isinstance(outcome, Appended)
    assert (outcome.version, outcome.position) == (2, 3)
    assert await postgres_store.head() == 3


async def test_a_backend_terminated_while_it_waits_for_the_log_loses_nothing(
    database: Database, postgres_store: PostgresEventStore
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await postgres_store.append(a_command())
    async with admin.transaction():
        await admin.execute("SELECT pg_advisory_xact_lock(1212240466, 0)")
        pending = [asyncio.create_task(postgres_store.append(a_command())) for _ in range(5)]
        watcher = await asyncpg.connect(database.admin_url)
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        await eventually(lambda: watcher.fetchval(waiting))
        await watcher.fetch(TERMINATE)
        await eventually(lambda: watcher.fetchval(waiting))

    outcomes = await asyncio.gather(*pending)

    assert all(isinstance(outcome, Appended) for outcome in outcomes)
    assert await postgres_store.head() == 6
    await watcher.close()
    await admin.close()


async def start_writer(url: str, name: str) -> asyncio.subprocess.Process:
    """Start a writer in a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.append_writer", url, name, str(COMMANDS), stdout=asyncio.subprocess.PIPE
    )


def assert_streams_count_from_one(events: list[StoredEvent]) -> None:
    """Check that every stream's versions are 1, 2, 3, ... in the order of positions."""
    versions: Counter[object] = Counter()
    for event in events:
        versions[event.stream_id] += 1
        assert event.version == versions[event.stream_id]
