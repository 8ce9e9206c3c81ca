"""What each failure of PostgreSQL means for the batch that was sent: caused on a real server wherever it can be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
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
from infra.event_store.protocol import Appended
from infra.postgres.connection import DedicatedConnection
from infra.postgres.pool import connect
from infra.settings import PostgresSettings
from tests.support.event_store.append_commands import a_command, an_event
from tests.support.event_store.log_lock import LOCK_THE_LOG, WAITING_FOR_THE_LOG, holding
from tests.support.services.servers import Database
from tests.support.waiting import eventually

FAIL = """
CREATE OR REPLACE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'it failed' USING ERRCODE = TG_ARGV[0];
END
$$;
CREATE TRIGGER fail BEFORE INSERT ON harbor.{table} FOR EACH ROW EXECUTE FUNCTION public.fail('{state}');
"""
STOP_FAILING = "DROP TRIGGER fail ON harbor.{table}"


class Connecting:
    """Connects as the service does, or as a test sets `connect`; `made` lists the connections."""

    def __init__(self, settings: PostgresSettings) -> None:
        self.connect: Callable[[], Awaitable[DedicatedConnection]] = lambda: connect(
            settings, application_name="harbor-append"
        )
        self.made: list[DedicatedConnection] = []

    async def __call__(self) -> DedicatedConnection:
        """Open one."""
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


async def appends(channel: PostgresAppendChannel) -> bool:
    """Return whether the next batch is appended, at the first position: nothing was written before it."""
    [outcome] = await channel.send([a_command()])
    return isinstance(outcome, Appended) and outcome.position == 1


async def error_of(work: Awaitable[object]) -> Exception:
    """Return what it raises."""
    with pytest.raises(Exception) as raised:  # noqa: PT011  # callers compare its type
        await work
    return raised.value


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


async def test_a_probe_meets_what_a_batch_would_meet_and_leaves_no_transaction_open(
    channel: PostgresAppendChannel, connecting: Connecting, admin: DedicatedConnection
) -> None:
    failures = dict.fromkeys(("events", "streams", "batches", "recorded_responses"), ("53100", NotNowError))
    for table, (state, meaning) in (*failures.items(), ("batches", ("57P01", OutcomeUnknownError))):
        await admin.execute(FAIL.format(table=table, state=state))
        with pytest.raises(meaning, match="it failed"):
            await channel.probe()
        assert connecting.made[-1].is_closed()
        await admin.execute(STOP_FAILING.format(table=table))

    await channel.probe()
    assert await appends(channel)
    assert len(connecting.made) == 6


MEANINGS: dict[str, type[Exception]] = {
    "25006": NotNowError,  # read-only
    "40001": NotNowError,  # could not serialise
    "40P01": NotNowError,  # a deadlock
    "42501": NotNowError,  # not allowed
    "53100": NotNowError,  # the disk is full
    "53200": NotNowError,  # out of memory
    "55006": NotNowError,  # something is in use
    "55P03": NotNowError,  # a lock did not come in time
    "57014": NotNowError,  # a timeout or an operator canceled the statement
    "22001": BatchRefusedError,  # a value is too long
    "23514": BatchRefusedError,  # a check is violated
    "54000": BatchRefusedError,  # a limit is exceeded
    "XX000": BatchFailedError,  # a bug in the server
    "P0001": BatchFailedError,  # an exception that a trigger raises
}


async def test_a_failure_has_its_meaning_by_its_code_and_keeps_the_connection(
    channel: PostgresAppendChannel, connecting: Connecting, admin: DedicatedConnection
) -> None:
    meanings: dict[str, type[Exception]] = {}
    for state in MEANINGS:
        await admin.execute(FAIL.format(table="batches", state=state))
        error = await error_of(channel.send([a_command()]))
        await admin.execute(STOP_FAILING.format(table="batches"))
        assert isinstance(error.__cause__, asyncpg.PostgresError)
        meanings[str(error.__cause__.sqlstate)] = type(error)

    assert meanings == MEANINGS
    assert await appends(channel)
    assert len(connecting.made) == 1


async def test_after_a_failure_that_ends_the_connection_the_outcome_is_unknown_and_another_is_opened(
    channel: PostgresAppendChannel, connecting: Connecting, admin: DedicatedConnection
) -> None:
    for state in ("57P01", "57P02", "08006"):
        await admin.execute(FAIL.format(table="batches", state=state))
        assert type(await error_of(channel.send([a_command()]))) is OutcomeUnknownError, state
        await admin.execute(STOP_FAILING.format(table="batches"))
        assert connecting.made[-1].is_closed()

    assert await appends(channel)
    assert len(connecting.made) == 4


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


UNSENDABLE = {
    "status": a_command(status=2**15),
    "version": a_command(expected=2**31),
    "key": a_command(key="half a pair: \ud800"),
    "response": a_command(response=3),  # type: ignore[arg-type]  # what no column accepts
    "version-unhashable": a_command(expected=2**64),
    "type-unhashable": a_command(events=[an_event()._replace(type="half a pair: \ud800")]),
}


async def test_what_cannot_be_sent_is_refused_and_keeps_the_connection(
    channel: PostgresAppendChannel, connecting: Connecting
) -> None:
    errors = {name: type(await error_of(channel.send([command]))) for name, command in UNSENDABLE.items()}

    assert errors == dict.fromkeys(UNSENDABLE, BatchRefusedError)
    assert await appends(channel)
    assert len(connecting.made) == 1


async def test_what_the_driver_does_not_accept_is_refused_and_keeps_the_connection(
    channel: PostgresAppendChannel, connecting: Connecting, database: Database
) -> None:
    connecting.connect = lambda: asyncpg.connect(database.command_url, connection_class=Unsendable)
    for _ in range(2):
        with pytest.raises(BatchRefusedError, match="no encoder"):
            await channel.send([a_command()])

    assert len(connecting.made) == 1


async def test_a_connection_that_ends_as_it_is_used_leaves_the_outcome_unknown(
    channel: PostgresAppendChannel, connecting: Connecting, database: Database
) -> None:
    as_usual = connecting.connect
    connecting.connect = lambda: asyncpg.connect(database.command_url, connection_class=ClosedJustNow)
    error = await error_of(channel.send([a_command()]))
    connecting.connect = as_usual

    assert isinstance(error, OutcomeUnknownError)
    assert isinstance(error.__cause__, asyncpg.InterfaceError)
    assert await appends(channel)


async def test_after_a_timeout_the_outcome_is_unknown_and_the_connection_is_dropped(
    channel: PostgresAppendChannel, connecting: Connecting, database: Database
) -> None:
    connecting.connect = lambda: asyncpg.connect(database.command_url, command_timeout=0.1)
    async with holding(database, LOCK_THE_LOG):
        error = await error_of(channel.send([a_command()]))

        assert (type(error), type(error.__cause__)) == (OutcomeUnknownError, TimeoutError)
        assert connecting.made[0].is_closed()


async def test_a_send_that_is_cancelled_drops_its_connection(
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
