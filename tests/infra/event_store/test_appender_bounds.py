"""The appender's bounds: its queue, its deadlines, an unreachable server, and closing."""

import asyncio

import pytest

from infra.clock import new_id
from infra.event_store.appender import Appender, AppenderLimits
from infra.event_store.protocol import Appended, AppendQueueFullError, AppendTimeoutError, StoreUnavailableError
from tests.support.event_store.append_channels import Fault, ScriptedChannel, StillClock, gathering, sizes
from tests.support.event_store.append_commands import a_command, an_event
from tests.support.event_store.contract import appended
from tests.support.waiting import eventually


async def test_commands_are_queued_all_or_none_and_a_full_queue_accepts_them_later() -> None:
    async with gathering(a_command(), AppenderLimits(queue_commands=3)) as (channel, appender, _):
        with pytest.raises(AppendQueueFullError):
            await appender.append_all([a_command() for _ in range(3)])
        assert appender.queued == 1
        fitting = [asyncio.create_task(appender.append_all([a_command() for _ in range(2)]))]
        await eventually(lambda: appender.queued == 3)
        with pytest.raises(AppendQueueFullError):
            await appender.append(a_command())
        channel.let_go()
        [outcomes] = await asyncio.gather(*fitting)

        assert [appended(outcome).version for outcome in outcomes] == [1, 1]
        assert isinstance(await appender.append(a_command()), Appended)


async def test_the_queue_is_bounded_in_bytes_too() -> None:
    halves = [a_command(events=[an_event(b"x" * 5000)]) for _ in range(2)]
    async with Appender(ScriptedChannel(), AppenderLimits(queue_bytes=10_000)) as appender:
        with pytest.raises(AppendQueueFullError):
            await appender.append_all(halves)

        assert isinstance(await appender.append(halves[0]), Appended)


async def test_nobody_waits_past_the_deadline() -> None:
    clock = StillClock()
    async with gathering(a_command(), AppenderLimits(deadline_s=0.05), clock) as (channel, appender, in_flight):
        behind = asyncio.create_task(appender.append(a_command()))
        results = await asyncio.gather(in_flight, behind, return_exceptions=True)
        assert [type(result) for result in results] == [AppendTimeoutError, AppendTimeoutError]
        clock.now_s = 0.1
        channel.let_go()
        await eventually(lambda: appender.queued == 0)

        assert sizes(channel) == [1], "a command past its deadline that was never sent is not sent any more"


async def test_at_the_deadline_known_outcomes_are_returned_and_the_others_are_unknown() -> None:
    stream = new_id()
    channel = ScriptedChannel(held_after=1)
    async with Appender(channel, AppenderLimits(deadline_s=0.1), monotonic_s=StillClock()) as appender:
        outcomes = await appender.append_all([a_command(stream=stream), a_command(), a_command(stream=stream)])
        channel.let_go()

        assert [type(outcome) for outcome in outcomes] == [Appended, Appended, AppendTimeoutError]


async def test_what_may_have_been_written_is_not_sent_for_ever_either() -> None:
    channel, later = ScriptedChannel([Fault.LOST_BEFORE] * 1000), a_command()
    async with Appender(channel, AppenderLimits(deadline_s=0.05)) as appender:
        for command in (a_command(), later):
            with pytest.raises(StoreUnavailableError):
                await appender.append(command)
            await eventually(lambda: appender.queued == 0)

    assert channel.batches[-1] == [later]


async def test_the_pauses_between_attempts_grow() -> None:
    channel = ScriptedChannel([Fault.NOT_NOW] * 1000)
    async with Appender(channel, AppenderLimits(deadline_s=0.25)) as appender:
        with pytest.raises(StoreUnavailableError):
            await appender.append(a_command())

        assert not appender.is_reachable
    assert len(channel.batches) <= 4, "at 0, 20, 60 and 140 ms, or later where the machine is slow"


async def test_a_server_that_accepts_a_batch_is_reachable_again() -> None:
    channel = ScriptedChannel([Fault.NOT_NOW], held_after=1)
    async with Appender(channel) as appender:
        under_way = asyncio.create_task(appender.append(a_command()))
        await eventually(lambda: len(channel.batches) == 2)
        during = appender.is_reachable
        channel.let_go()
        await under_way

        assert (during, appender.is_reachable) == (False, True)


async def test_a_server_that_comes_back_is_found_although_nobody_sends_a_command() -> None:
    channel = ScriptedChannel([Fault.NOT_NOW] * 4 + [Fault.BUG])
    async with Appender(channel, AppenderLimits(deadline_s=0.03)) as appender:
        with pytest.raises(StoreUnavailableError):
            await appender.append(a_command())
        during = appender.is_reachable
        await eventually(lambda: appender.is_reachable)

        assert (during, channel.batches[-1], await channel.store.head()) == (False, [], 0)


async def test_closing_does_not_wait_for_a_probe() -> None:
    channel = ScriptedChannel([Fault.NOT_NOW], held_after=1)
    async with Appender(channel, AppenderLimits(deadline_s=0.01, drain_s=600.0)) as appender:
        with pytest.raises(StoreUnavailableError):
            await appender.append(a_command())
        await eventually(lambda: len(channel.batches) == 2)

        await asyncio.wait_for(appender.close(), 60)

    assert channel.is_closed


async def test_closing_finishes_what_is_queued_and_accepts_nothing_more() -> None:
    async with gathering(a_command()) as (channel, appender, _):
        waiting = [asyncio.create_task(appender.append_all([a_command() for _ in range(5)]))]
        await eventually(lambda: appender.queued == 6)
        closing = asyncio.create_task(appender.close())
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailableError):
            await appender.append(a_command())
        with pytest.raises(StoreUnavailableError):
            await appender.append_all([a_command()])
        channel.let_go()
        await closing
        [outcomes] = await asyncio.gather(*waiting)

        assert [type(outcome) for outcome in outcomes] == [Appended] * 5
        assert channel.is_closed


async def test_closing_gives_up_after_its_own_deadline_and_reports_it_to_every_caller() -> None:
    stream = new_id()
    async with gathering(a_command(), AppenderLimits(drain_s=0.05)) as (_, appender, in_flight):
        waiting = [asyncio.create_task(appender.append(a_command(stream=stream))) for _ in range(3)]
        await eventually(lambda: appender.queued == 4)
        await appender.close()

        results = await asyncio.gather(in_flight, *waiting, return_exceptions=True)
        assert [type(result) for result in results] == [AppendTimeoutError] * 4
        assert appender.queued == 0
