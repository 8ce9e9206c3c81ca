"""What each failure of PostgreSQL means for the batch that was sent: made on a real server wherever it can be made."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from infra.event_store.append_channel import (
    BatchFailedError,
    BatchRefusedError,
    NotNowError,
    OutcomeUnknownError,
    PostgresAppendChannel,
)
from infra.event_store.protocol import AppendCommand, Appended
from infra.postgres.connection import DedicatedConnection
from infra.postgres.pool import connect
from infra.settings import PostgresSettings
from tests.support.event_store.append_commands import a_command, an_event
from tests.support.services.servers import Database
from tests.support.waiting import eventually

LOCK_THE_LOG = "SELECT pg_advisory_xact_lock(1212240466, 0)"
WAITING_FOR_THE_LOG = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
WAITING_FOR_A_TABLE = "SELECT count(*) FROM pg_locks WHERE relation = $1::text::regclass AND NOT granted"
CANCEL = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'harbor-append'"
FAIL_AS_TOLD = """
CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'it failed' USING ERRCODE = TG_ARGV[0];
END
$$;
CREATE TRIGGER fail BEFORE INSERT ON harbor.batches FOR EACH ROW EXECUTE FUNCTION public.fail('{state}');
"""


class Connecting:
    """Connects as the service does, or as it is told; `made` lists the connections."""

    def __init__(self, settings: PostgresSettings) -> None:
        self.connect: Callable[[], Awaitable[DedicatedConnection]] = lambda: connect(
            settings, application_name="harbor-append"
        )
        self.made: list[DedicatedConnection] = []

    async def __call__(self) -> DedicatedConnection:
        """Make one."""
        self.made.append(await self.connect())
        return self.made[-1]


class Unsendable(DedicatedConnection):
    """A connection of a driver that cannot send what it is given, and says so before it sends any of it."""

    async def fetch(self, *_arguments: object, **_options: object) -> list[asyncpg.Record]:  # type: ignore[override]
        """Raise what asyncpg raises then."""
        raise asyncpg.InterfaceError("query argument $3: no encoder for it")


class ClosedJustNow(DedicatedConnection):
    """A connection that ends as it is used."""

    async def fetch(  # type: ignore[override]  # it has overloads
        self, *arguments: Any, **options: Any
    ) -> list[asyncpg.Record]:
        """End first."""
        self.terminate()
        return await super().fetch(*arguments, **options)


@pytest.fixture
def connecting(command_settings: PostgresSettings) -> Connecting:
    return Connecting(command_settings)


@pytest.fixture
async def channel(connecting: Connecting) -> AsyncIterator[PostgresAppendChannel]:
    made = PostgresAppendChannel(connecting)
    yield made
    await made.close()


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[DedicatedConnection]:
    connection = await asyncpg.connect(database.admin_url)
    yield connection
    await connection.close()


@asynccontextmanager
async def holding(database: Database, *statements: str) -> AsyncIterator[DedicatedConnection]:
    """Return a session in a transaction that holds the locks its statements take."""
    session = await asyncpg.connect(database.admin_url, server_settings={"deadlock_timeout": "1min"})
    try:
        async with session.transaction():
            for statement in statements:
                await session.execute(statement)
            yield session
    finally:
        await session.close()


async def appends(channel: PostgresAppendChannel) -> bool:
    """Return whether the next batch is appended, at the first position: nothing was written before it."""
    [outcome] = await channel.send([a_command()])
    return isinstance(outcome, Appended) and outcome.position == 1


async def test_a_probe_writes_nothing_and_leaves_the_log_to_others(
    channel: PostgresAppendChannel, connecting: Connecting, admin: DedicatedConnection
) -> None:
    await channel.probe()

    for table in ("events", "streams", "batches", "recorded_responses", "claims"):
        assert await admin.fetchval(f"SELECT count(*) FROM harbor.{table}") == 0, table
    assert await appends(channel)
    await channel.probe()
    [second] = await channel.send([a_command()])
    assert isinstance(second, Appended)
    assert (second.position, len(connecting.made)) == (2, 1)


@pytest.mark.parametrize("table", ["events", "streams", "batches", "recorded_responses"])
async def test_a_probe_meets_what_a_batch_would_meet(
    channel: PostgresAppendChannel, connecting: Connecting, admin: DedicatedConnection, table: str
) -> None:
    await admin.execute(FAIL_AS_TOLD.format(state="53100").replace("harbor.batches", f"harbor.{table}"))
    with pytest.raises(NotNowError, match="it failed"):
        await channel.probe()
    await admin.execute(f"DROP TRIGGER fail ON harbor.{table}")

    await channel.probe()
    assert await appends(channel)
    assert [connection.is_closed() for connection in connecting.made] == [True, False], "no transaction is left open"


async def test_a_probe_that_loses_its_connection_makes_another(
    channel: PostgresAppendChannel, connecting: Connecting, admin: DedicatedConnection
) -> None:
    await admin.execute(FAIL_AS_TOLD.format(state="57P01"))
    with pytest.raises(OutcomeUnknownError):
        await channel.probe()
    await admin.execute("DROP TRIGGER fail ON harbor.batches")

    await channel.probe()
    assert await appends(channel)
    assert len(connecting.made) == 2


async def test_a_lock_that_does_not_come_in_time_means_later_on_the_same_connection(
    channel: PostgresAppendChannel, connecting: Connecting, database: Database
) -> None:
    url = database.command_url
    connecting.connect = lambda: asyncpg.connect(url, server_settings={"lock_timeout": "50ms"})
    async with holding(database, LOCK_THE_LOG):
        with pytest.raises(NotNowError) as raised:
            await channel.send([a_command()])

    assert isinstance(raised.value.__cause__, asyncpg.LockNotAvailableError)
    assert await appends(channel)
    assert len(connecting.made) == 1


async def test_a_statement_that_an_operator_cancels_means_later_on_the_same_connection(
    channel: PostgresAppendChannel, connecting: Connecting, database: Database, admin: DedicatedConnection
) -> None:
    async with holding(database, LOCK_THE_LOG):
        sending = asyncio.create_task(channel.send([a_command()]))
        await eventually(lambda: admin.fetchval(WAITING_FOR_THE_LOG))
        await admin.fetch(CANCEL)
        with pytest.raises(NotNowError) as raised:
            await sending

    assert isinstance(raised.value.__cause__, asyncpg.QueryCanceledError)
    assert await appends(channel)
    assert len(connecting.made) == 1


async def test_a_deadlock_means_later_on_the_same_connection(
    channel: PostgresAppendChannel, connecting: Connecting, database: Database, admin: DedicatedConnection
) -> None:
    url = database.admin_url  # only a superuser says how long a deadlock lasts; the other session would take a minute
    connecting.connect = lambda: asyncpg.connect(url, server_settings={"deadlock_timeout": "10ms"})
    async with holding(database, "LOCK TABLE harbor.claims") as other:
        async with holding(database, "LOCK TABLE harbor.streams"):  # until the other waits for the log
            sending = asyncio.create_task(channel.send([a_command(claim="ref")]))
            await eventually(lambda: admin.fetchval(WAITING_FOR_A_TABLE, "harbor.streams"))
            crossing = asyncio.create_task(other.execute(LOCK_THE_LOG))
            await eventually(lambda: admin.fetchval(WAITING_FOR_THE_LOG))
        with pytest.raises(NotNowError) as raised:
            await sending
        await crossing

    assert isinstance(raised.value.__cause__, asyncpg.DeadlockDetectedError)
    assert await appends(channel)
    assert len(connecting.made) == 1


@pytest.mark.parametrize(
    ("state", "meaning"),
    [
        ("25006", NotNowError),  # read-only
        ("40001", NotNowError),  # could not serialise
        ("42501", NotNowError),  # not allowed
        ("53100", NotNowError),  # the disk is full
        ("53200", NotNowError),  # out of memory
        ("55006", NotNowError),  # something is in use
        ("57014", NotNowError),  # a timeout or an operator canceled the statement
        ("22001", BatchRefusedError),  # a value is too long
        ("23514", BatchRefusedError),  # a check is violated
        ("54000", BatchRefusedError),  # a limit is exceeded
        ("XX000", BatchFailedError),  # a bug in the server
        ("P0001", BatchFailedError),  # an exception that somebody raises
    ],
)
async def test_a_failure_has_its_meaning_by_its_code_and_keeps_the_connection(
    channel: PostgresAppendChannel,
    connecting: Connecting,
    admin: DedicatedConnection,
    state: str,
    meaning: type[Exception],
) -> None:
    await admin.execute(FAIL_AS_TOLD.format(state=state))
    with pytest.raises(meaning) as raised:
        await channel.send([a_command()])
    await admin.execute("DROP TRIGGER fail ON harbor.batches")

    assert type(raised.value) is meaning
    assert isinstance(raised.value.__cause__, asyncpg.PostgresError)
    assert raised.value.__cause__.sqlstate == state
    assert await appends(channel)
    assert len(connecting.made) == 1


@pytest.mark.parametrize("state", ["57P01", "57P02", "08006"])
async def test_after_a_failure_that_ends_the_connection_the_outcome_is_unknown_and_another_is_made(
    channel: PostgresAppendChannel, connecting: Connecting, admin: DedicatedConnection, state: str
) -> None:
    await admin.execute(FAIL_AS_TOLD.format(state=state))
    with pytest.raises(OutcomeUnknownError):
        await channel.send([a_command()])
    await admin.execute("DROP TRIGGER fail ON harbor.batches")

    assert connecting.made[0].is_closed()
    assert await appends(channel)
    assert len(connecting.made) == 2


async def test_a_server_that_cannot_be_reached_means_later(
    channel: PostgresAppendChannel, connecting: Connecting
) -> None:
    async def refuse() -> DedicatedConnection:
        raise ConnectionRefusedError("nobody listens")

    as_usual, connecting.connect = connecting.connect, refuse
    with pytest.raises(NotNowError, match="cannot connect: nobody listens"):
        await channel.send([a_command()])
    connecting.connect = as_usual

    assert await appends(channel)


@pytest.mark.parametrize(
    "command",
    [
        a_command(status=2**15),
        a_command(expected=2**31),
        a_command(key="half a pair: \ud800"),
        a_command(response=3),  # type: ignore[arg-type]  # what no column takes
        a_command(expected=2**64),
        a_command(events=[an_event()._replace(type="half a pair: \ud800")]),
    ],
    ids=["status", "version", "key", "response", "version-unhashable", "type-unhashable"],
)
async def test_what_cannot_be_sent_is_refused_and_keeps_the_connection(
    channel: PostgresAppendChannel, connecting: Connecting, command: AppendCommand
) -> None:
    with pytest.raises(BatchRefusedError) as raised:
        await channel.send([command])

    assert type(raised.value) is BatchRefusedError
    assert await appends(channel)
    assert len(connecting.made) == 1


async def test_what_the_driver_does_not_take_is_refused_and_keeps_the_connection(
    channel: PostgresAppendChannel, connecting: Connecting, database: Database
) -> None:
    url = database.command_url
    connecting.connect = lambda: asyncpg.connect(url, connection_class=Unsendable)
    for _ in range(2):
        with pytest.raises(BatchRefusedError, match="no encoder"):
            await channel.send([a_command()])

    assert len(connecting.made) == 1


async def test_a_connection_that_ends_as_it_is_used_leaves_the_outcome_unknown(
    channel: PostgresAppendChannel, connecting: Connecting, database: Database
) -> None:
    url, as_usual = database.command_url, connecting.connect
    connecting.connect = lambda: asyncpg.connect(url, connection_class=ClosedJustNow)
    with pytest.raises(OutcomeUnknownError) as raised:
        await channel.send([a_command()])
    connecting.connect = as_usual

    assert isinstance(raised.value.__cause__, asyncpg.InterfaceError)
    assert await appends(channel)


async def test_an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown_and_the_connection_is_given_up(
    channel: PostgresAppendChannel, connecting: Connecting, database: Database
) -> None:
    url, as_usual = database.command_url, connecting.connect
    connecting.connect = lambda: asyncpg.connect(url, command_timeout=0.1)
    async with holding(database, LOCK_THE_LOG):
        with pytest.raises(OutcomeUnknownError) as raised:
            await channel.send([a_command()])
        connecting.connect = as_usual

        assert isinstance(raised.value.__cause__, TimeoutError)
        assert connecting.made[0].is_closed()


async def test_a_send_that_is_cancelled_gives_its_connection_up(
    channel: PostgresAppendChannel, connecting: Connecting, database: Database, admin: DedicatedConnection
) -> None:
    async with holding(database, LOCK_THE_LOG):
        sending = asyncio.create_task(channel.send([a_command()]))
        await eventually(lambda: admin.fetchval(WAITING_FOR_THE_LOG))
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

        assert connecting.made[0].is_closed()
    [outcome] = await channel.send([a_command()])

    assert isinstance(outcome, Appended)
    assert len(connecting.made) == 2
