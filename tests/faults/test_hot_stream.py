"""Many optimistic writers on one stream through two appenders: all succeed, and no other stream notices."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import UUID

import pytest
from pydantic import SecretStr

from infra.event_store.append_channel import PostgresAppendChannel
from infra.event_store.appender import Appender, AppenderLimits
from infra.event_store.protocol import Appended, WrongExpectedVersion
from infra.postgres.pool import connect
from infra.settings import PostgresSettings
from tests.faults.log_checks import check_reading
from tests.support.event_store.append_channels import NotingChannel
from tests.support.event_store.append_commands import a_command
from tests.support.event_store.log_reader import whole_log
from tests.support.services.servers import Database

HOT = UUID(int=1)


class NotedAppender:
    """An appender with its own connection, and the batches it sent."""

    def __init__(self, settings: PostgresSettings) -> None:
        channel = PostgresAppendChannel(partial(connect, settings, application_name="hot-stream"))
        self.channel = NotingChannel(channel)
        self.appender = Appender(self.channel, AppenderLimits(deadline_s=60.0))

    async def increment(self) -> None:
        """Append to the hot stream; after a conflict again, at the version it turned out to have."""
        expected = 0
        while not isinstance(outcome := await self.appender.append(a_command(stream=HOT, expected=expected)), Appended):
            assert isinstance(outcome, WrongExpectedVersion)
            assert outcome.actual_version > expected
            expected = outcome.actual_version
        assert outcome.version == expected + 1

    async def append_elsewhere(self, done: asyncio.Event) -> int:
        """Append to new streams, one after the other, until `done`: each at the first try, in the very next batch."""
        for number in itertools.count():
            if done.is_set():
                return number
            command, following = a_command(), len(self.channel.batches)
            assert isinstance(await self.appender.append(command), Appended)
            assert command in self.channel.batches[following]
        raise AssertionError("counting has no end")


@pytest.mark.timeout(600)
async def test_optimistic_writers_on_one_stream_all_succeed_and_hold_up_no_other(
    database: Database, *, is_full: bool
) -> None:
    writers = 200 if is_full else 60
    async with appenders(database, 2) as both, asyncio.TaskGroup() as group:
        done = asyncio.Event()
        elsewhere = [group.create_task(each.append_elsewhere(done)) for each in both]
        hot = [group.create_task(both[number % 2].increment()) for number in range(writers)]
        await asyncio.wait(hot)
        done.set()
    others = sum(task.result() for task in elsewhere)
    batches = [batch for each in both for batch in each.channel.batches]

    seen = await whole_log(database.command_url)
    assert list(check_reading(seen)) == []
    assert [event.version for event in seen if event.stream_id == HOT] == list(range(1, writers + 1))
    assert len(seen) == writers + others
    assert others >= writers
    assert all(sum(command.stream_id == HOT for command in batch) <= 1 for batch in batches)


@asynccontextmanager
async def appenders(database: Database, count: int) -> AsyncIterator[list[NotedAppender]]:
    settings = PostgresSettings(url=SecretStr(database.command_url), command_timeout_s=60.0)
    made = [NotedAppender(settings) for _ in range(count)]
    async with AsyncExitStack() as stack:
        for each in made:
            await stack.enter_async_context(each.appender)
        yield made
