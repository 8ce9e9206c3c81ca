"""Racing writer processes on one log, disturbed in every way we know: nothing lost, doubled, reordered or skipped."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest

from tests.faults.log_checks import Ack, check_log
from tests.support.event_store.append_writer import APPLICATION, events_of, payload_of
from tests.support.event_store.disturbed_channel import Disturbance
from tests.support.event_store.log_reader import LogReader, whole_log
from tests.support.services.servers import Database

WRITERS = 4
AT_ONCE = 300
DISTURBED_SHARE = 0.15
END_S = 60.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is written, and what must have happened meanwhile for the run to prove anything.

    Attributes:
        commands: of each writer; two events each on average.
        terminate_every: events between two backends that are terminated.
        terminated: backends, at least.
        disturbed: transactions of each kind, at least.
    """

    commands: int
    terminate_every: int
    terminated: int
    disturbed: int

    @property
    def events(self) -> int:
        return WRITERS * sum(events_of(number) for number in range(self.commands))


FULL = Size(commands=27_000, terminate_every=1_000, terminated=50, disturbed=20)
SMALL = Size(commands=3_600, terminate_every=400, terminated=15, disturbed=5)

# Working backends first: an idle one loses nothing.
TERMINATE_ONE = """
SELECT pg_terminate_backend(pid)
FROM (
    SELECT pid FROM pg_stat_activity
    WHERE application_name = $1 AND datname = current_database()
    ORDER BY state = 'idle', random() LIMIT 1
) AS victim
"""
KEYS = "SELECT count(*), count(DISTINCT key) FROM harbor.recorded_responses"
LEDGER = "SELECT sum(count), max(last_position) FROM harbor.batches"


@dataclass(frozen=True, slots=True)
class Output:
    """What the writers printed: acknowledgements, and how often each disturbance happened."""

    acks: tuple[Ack, ...]
    disturbed: Counter[str]


@pytest.mark.timeout(900)
async def test_four_disturbed_writers_lose_double_reorder_and_skip_nothing(
    database: Database, *, is_full: bool
) -> None:
    size = FULL if is_full else SMALL
    admin, reading = [await asyncpg.connect(url) for url in (database.admin_url, database.command_url)]
    reader = LogReader(reading)
    writers = [await start_writer(database.command_url, f"w{number}", size) for number in range(WRITERS)]
    try:
        outputs = asyncio.gather(*(writer.communicate() for writer in writers))
        terminated = await read_and_terminate(reader, admin, outputs, size.terminate_every)
        await reader.catch_up()
        output = parse(line for out, _ in await outputs for line in out.decode().splitlines())
    finally:
        await end(writers)

    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert check_log(reader.seen, output.acks) == []
    assert (len(reader.seen), len(output.acks)) == (size.events, WRITERS * size.commands)
    assert reader.seen == await whole_log(database.admin_url)
    assert tuple(await admin.fetchrow(KEYS) or ()) == (WRITERS * size.commands,) * 2
    assert tuple(await admin.fetchrow(LEDGER) or ()) == (size.events, size.events)
    assert terminated >= size.terminated
    assert all(output.disturbed[each.value] >= size.disturbed for each in Disturbance), output.disturbed
    await admin.close()
    await reading.close()


async def read_and_terminate(
    reader: LogReader,
    admin: "asyncpg.Connection[asyncpg.Record]",
    ended: "asyncio.Future[list[tuple[bytes, bytes]]]",
    every: int,
) -> int:
    """Poll the log until the writers have ended, terminate a backend every so many events; return how many."""
    terminated = 0
    due = every
    while not ended.done():
        await reader.poll()
        if len(reader.seen) >= due:
            terminated += len(await admin.fetch(TERMINATE_ONE, APPLICATION))
            due = len(reader.seen) + every
        await asyncio.wait([ended], timeout=0.002)
    return terminated


async def start_writer(url: str, name: str, size: Size) -> asyncio.subprocess.Process:
    """Start a writer in a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.event_store.append_writer",
        *(url, name, str(size.commands), str(AT_ONCE), str(DISTURBED_SHARE)),
        stdout=asyncio.subprocess.PIPE,
    )


async def end(writers: Iterable[asyncio.subprocess.Process]) -> None:
    """Make sure that no writer outlives the test."""
    for writer in writers:
        if writer.returncode is None:
            writer.kill()
        async with asyncio.timeout(END_S):
            await writer.wait()


def parse(lines: Iterable[str]) -> Output:
    """Read what the writers printed; their log lines are skipped."""
    acks: list[Ack] = []
    disturbed: Counter[str] = Counter()
    for line in lines:
        match line.split():
            case ["ack", key, stream, version, position, ids]:
                acks.append(Ack(key, UUID(stream), int(version), int(position), tuple(sent(key, ids))))
            case ["disturbed", what, count]:
                disturbed[what] += int(count)
    return Output(tuple(acks), disturbed)


def sent(key: str, ids: str) -> Iterator[tuple[UUID, bytes]]:
    """Return id and payload of each event of a command."""
    for index, event_id in enumerate(ids.split(",")):
        yield UUID(event_id), payload_of(key, index)
