"""Commands that are queued together: in one call when they fit, all or none, with one deadline."""

import asyncio

import pytest

from infra.clock import new_id
from infra.event_store.appender import Appender, AppenderLimits
from infra.event_store.protocol import (
    Appended,
    AppendQueueFullError,
    AppendTimeoutError,
    Duplicate,
    StoreUnavailableError,
)
from tests.support.event_store.append_channels import Fault, ScriptedChannel, StillClock, gathering, sizes
from tests.support.event_store.append_commands import a_command, an_event
from tests.support.event_store.contract import appended
from tests.support.waiting import eventually


async def test_commands_made_together_travel_in_one_call() -> None:
    channel = ScriptedChannel()
    async with Appender(channel) as appender:
        outcomes = await appender.append_all([a_command() for _ in range(500)])

    assert [appended(outcome).position for outcome in outcomes] == list(range(1, 501))
    assert sizes(channel) == [500]


async def test_commands_made_together_keep_within_the_caps_of_a_call() -> None:
    channel = ScriptedChannel()
    async with Appender(channel, AppenderLimits(batch_commands=200)) as appender:
        await appender.append_all([a_command() for _ in range(500)])

    assert sizes(channel) == [200, 200, 100]


async def test_repetitions_among_commands_made_together_are_answered_without_another_call() -> None:
    channel = ScriptedChannel()
    async with Appender(channel) as appender:
        outcomes = await appender.append_all([a_command(key="k", response=b"%d" % number) for number in range(9)])

    assert [outcome.response for outcome in outcomes[1:] if isinstance(outcome, Duplicate)] == [b"0"] * 8
    assert sizes(channel) == [1]


async def test_without_room_for_all_of_them_none_is_queued() -> None:
    async with gathering(a_command(), AppenderLimits(queue_commands=3)) as (channel, appender, _):
        with pytest.raises(AppendQueueFullError):
            await appender.append_all([a_command() for _ in range(3)])
        assert appender.queued == 1
        fitting = [asyncio.create_task(appender.append_all([a_command() for _ in range(2)]))]
        await eventually(lambda: appender.queued == 3)
        channel.let_go()
        [outcomes] = await asyncio.gather(*fitting)

        assert [appended(outcome).version for outcome in outcomes] == [1, 1]


async def test_without_room_for_the_bytes_of_all_of_them_none_is_queued() -> None:
    halves = [a_command(events=[an_event(b"x" * 5000)]) for _ in range(2)]
    async with Appender(ScriptedChannel(), AppenderLimits(queue_bytes=10_000)) as appender:
        with pytest.raises(AppendQueueFullError):
            await appender.append_all(halves)

        assert isinstance(await appender.append(halves[0]), Appended)


async def test_at_the_deadline_what_is_known_is_told_and_the_rest_is_unknown() -> None:
    stream = new_id()
    channel = ScriptedChannel(held_after=1)
    async with Appender(channel, AppenderLimits(deadline_s=0.1), monotonic_s=StillClock()) as appender:
        outcomes = await appender.append_all([a_command(stream=stream), a_command(), a_command(stream=stream)])
        channel.let_go()

        assert [type(outcome) for outcome in outcomes] == [Appended, Appended, AppendTimeoutError]


async def test_a_caller_of_many_that_goes_away_withdraws_none() -> None:
    async with gathering(a_command()) as (channel, appender, _):
        commands = [a_command() for _ in range(5)]
        behind = asyncio.create_task(appender.append_all(commands))
        await eventually(lambda: appender.queued == 6)
        behind.cancel()
        channel.let_go()
        await eventually(lambda: appender.queued == 0)

        assert await channel.store.head() == 6
        assert [type(outcome) for outcome in await appender.append_all(commands)] == [Duplicate] * 5


async def test_a_store_that_closes_takes_none_of_many() -> None:
    appender = Appender(ScriptedChannel())
    await appender.close()
    with pytest.raises(StoreUnavailableError):
        await appender.append_all([a_command()])


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.NOT_NOW])
async def test_a_lost_answer_to_many_is_found_out_by_sending_again(fault: Fault) -> None:
    channel = ScriptedChannel([fault, fault])
    async with Appender(channel) as appender:
        outcomes = await appender.append_all([a_command() for _ in range(5)])

    assert [appended(outcome).version for outcome in outcomes] == [1] * 5
    assert await channel.store.head() == 5
