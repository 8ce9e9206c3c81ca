"""How the appender gathers, chains, bisects, resends, refuses and drains: on a channel that fails on cue."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from infra.clock import new_id
from infra.event_store.appender import Appender, AppenderLimits
from infra.event_store.protocol import (
    AppendCommand,
    Appended,
    AppendOutcome,
    AppendQueueFullError,
    AppendRejectedError,
    AppendTimeoutError,
    Duplicate,
    KeyMismatch,
    StoreUnavailableError,
    WrongExpectedVersion,
)
from tests.support.event_store.append_channels import Fault, ScriptedChannel, StillClock, gathering, sizes
from tests.support.event_store.append_commands import OTHER_REQUEST, a_command, an_event
from tests.support.event_store.contract import EventStoreContract, appended
from tests.support.waiting import eventually


class TestAppenderOverMemory(EventStoreContract):
    """Callers of an appender see what callers of a store see."""

    @pytest.fixture
    async def store(self) -> AsyncIterator["AppenderStore"]:
        channel = ScriptedChannel()
        async with Appender(channel) as appender:
            yield AppenderStore(channel, appender)


class AppenderStore:
    """A store whose single appends go through an appender."""

    def __init__(self, channel: ScriptedChannel, appender: Appender) -> None:
        self.append = appender.append
        self.append_all = appender.append_all
        self.append_batch = channel.store.append_batch
        self.read_stream = channel.store.read_stream
        self.read_all = channel.store.read_all
        self.head = channel.store.head


async def group(appender: Appender, channel: ScriptedChannel, commands: list[AppendCommand]) -> list[AppendOutcome]:
    """Append commands that all wait behind the one in flight, then let it go."""
    tasks = [asyncio.create_task(appender.append(command)) for command in commands]
    await eventually(lambda: appender.queued == len(commands) + 1)
    channel.let_go()
    return await asyncio.gather(*tasks)


async def test_a_lone_command_is_sent_at_once_and_those_that_come_meanwhile_gather() -> None:
    async with gathering(a_command()) as (channel, appender, _):
        await group(appender, channel, [a_command() for _ in range(9)])

        assert sizes(channel) == [1, 9]


async def test_batches_are_capped_by_count() -> None:
    async with gathering(a_command(), AppenderLimits(batch_commands=4)) as (channel, appender, _):
        await group(appender, channel, [a_command() for _ in range(9)])

        assert sizes(channel) == [1, 4, 4, 1]


async def test_batches_are_capped_by_bytes_but_a_large_command_travels_alone() -> None:
    small, large = an_event(b"x" * 400), an_event(b"x" * 5000)
    async with gathering(a_command(), AppenderLimits(batch_bytes=1000)) as (channel, appender, _):
        commands = [a_command(events=[event], response=b"") for event in (small, small, small, large, small)]
        await group(appender, channel, commands)

        assert sizes(channel) == [1, 2, 1, 1, 1]


async def test_commands_on_one_stream_are_chained_in_order_and_hold_nobody_else_up() -> None:
    stream = new_id()
    async with gathering(a_command()) as (channel, appender, _):
        hot = [a_command(stream=stream, expected=version) for version in range(3)]
        others = [a_command() for _ in range(4)]

        outcomes = await group(appender, channel, [*hot, *others])

        assert [appended(outcome).version for outcome in outcomes] == [1, 2, 3, 1, 1, 1, 1]
        assert sizes(channel) == [1, 5, 1, 1]


async def test_commands_with_one_claim_are_chained() -> None:
    async with gathering(a_command()) as (channel, appender, _):
        await group(appender, channel, [a_command(claim="ref"), a_command(claim="ref"), a_command(claim="other")])

        assert sizes(channel) == [1, 2, 1]


async def test_copies_of_a_request_are_answered_from_the_first_without_another_call() -> None:
    first = a_command(key="k", response=b"first")
    async with gathering(first) as (channel, appender, in_flight):
        copies = [a_command(key="k", response=b"copy") for _ in range(50)]
        other = a_command(key="k", fingerprint=OTHER_REQUEST)

        outcomes = await group(appender, channel, [*copies, other])

        won = appended(await in_flight)
        answer = Duplicate(201, b"first", first.stream_id, won.version, won.position, won.recorded_at)
        assert outcomes == [answer] * 50 + [KeyMismatch()]
        assert sizes(channel) == [1]


async def test_a_copy_of_a_refused_request_is_tried_itself() -> None:
    async with gathering(a_command(key="k", expected=5)) as (channel, appender, in_flight):
        (outcome,) = await group(appender, channel, [a_command(key="k")])

        assert await in_flight == WrongExpectedVersion(0)
        assert appended(outcome).position == 1


async def test_bisecting_finds_the_bad_commands_and_saves_the_others() -> None:
    async with gathering(a_command()) as (channel, appender, _):
        commands = [a_command(key="bad\0" + str(n) if n in {3, 11} else None) for n in range(16)]
        tasks = [asyncio.create_task(appender.append(command)) for command in commands]
        await eventually(lambda: appender.queued == 17)
        channel.let_go()

        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert [n for n, result in enumerate(results) if isinstance(result, AppendRejectedError)] == [3, 11]
        assert sum(isinstance(result, Appended) for result in results) == 14
        assert await channel.store.head() == 15


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.NOT_NOW])
async def test_a_lost_answer_is_found_out_by_sending_again(fault: Fault) -> None:
    channel = ScriptedChannel([fault, fault])
    command = a_command(events=2)
    async with Appender(channel) as appender:
        outcome = appended(await appender.append(command))

    assert (outcome.version, outcome.position) == (2, 2)
    assert await channel.store.head() == 2


OURS = a_command(key="k", stream=new_id(), status=201, response=b"ours")


@pytest.mark.parametrize(
    "theirs",
    [
        OURS._replace(response=b"theirs"),
        OURS._replace(status=200),
        OURS._replace(stream_id=new_id()),
        OURS._replace(events=(an_event(), an_event())),
    ],
    ids=["response", "status", "stream", "version"],
)
async def test_after_a_lost_answer_what_another_process_recorded_is_not_taken_for_our_own(
    theirs: AppendCommand,
) -> None:
    channel = ScriptedChannel([Fault.LOST_BEFORE])
    recorded = appended(await channel.store.append(theirs))
    async with Appender(channel) as appender:
        outcome = await appender.append(OURS)

    assert outcome == Duplicate(
        theirs.status, theirs.response, theirs.stream_id, recorded.version, recorded.position, recorded.recorded_at
    )


async def test_a_full_queue_refuses_and_takes_commands_again_later() -> None:
    async with gathering(a_command(), AppenderLimits(queue_commands=3)) as (channel, appender, _):
        waiting = [asyncio.create_task(appender.append(a_command())) for _ in range(2)]
        await eventually(lambda: appender.queued == 3)
        with pytest.raises(AppendQueueFullError):
            await appender.append(a_command())
        channel.let_go()
        await asyncio.gather(*waiting)

        assert isinstance(await appender.append(a_command()), Appended)


async def test_the_queue_is_bounded_in_bytes_too() -> None:
    limits = AppenderLimits(queue_bytes=10_000)
    async with gathering(a_command(), limits) as (channel, appender, _):
        with pytest.raises(AppendQueueFullError):
            await appender.append(a_command(events=[an_event(b"x" * 10_000)]))
        channel.let_go()


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


async def test_an_unreachable_server_is_reported_as_such_at_the_deadline() -> None:
    channel, clock = ScriptedChannel([Fault.NOT_NOW] * 100), StillClock()
    async with Appender(channel, AppenderLimits(deadline_s=0.1), monotonic_s=clock) as appender:
        with pytest.raises(StoreUnavailableError):
            await appender.append(a_command())
        assert not appender.is_reachable
        clock.now_s = 0.2


async def test_a_server_that_answers_again_is_reachable_again() -> None:
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


async def test_closing_does_not_wait_for_a_question_that_is_not_answered() -> None:
    channel = ScriptedChannel([Fault.NOT_NOW], held_after=1)
    async with Appender(channel, AppenderLimits(deadline_s=0.01, drain_s=600.0)) as appender:
        with pytest.raises(StoreUnavailableError):
            await appender.append(a_command())
        await eventually(lambda: len(channel.batches) == 2)

        await asyncio.wait_for(appender.close(), 60)

    assert channel.is_closed


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

    assert len(channel.batches) <= 4, "at 0, 20, 60 and 140 ms, or later where the machine is slow"


async def test_a_caller_that_goes_away_does_not_withdraw_its_command() -> None:
    async with gathering(a_command()) as (channel, appender, in_flight):
        queued = a_command(key="k")
        behind = asyncio.create_task(appender.append(queued))
        await eventually(lambda: appender.queued == 2)
        in_flight.cancel()
        behind.cancel()
        channel.let_go()
        await eventually(lambda: appender.queued == 0)

        assert await channel.store.head() == 2
        assert isinstance(await appender.append(queued), Duplicate)


async def test_a_bug_in_the_channel_fails_its_batch_and_nothing_after_it() -> None:
    async with Appender(ScriptedChannel([Fault.BUG])) as appender:
        with pytest.raises(StoreUnavailableError):
            await appender.append(a_command())

        assert isinstance(await appender.append(a_command()), Appended)


async def test_a_failure_of_postgresql_is_not_blamed_on_the_command() -> None:
    async with Appender(ScriptedChannel([Fault.FAILED])) as appender:
        with pytest.raises(StoreUnavailableError, match=Fault.FAILED.value):
            await appender.append(a_command())

        assert isinstance(await appender.append(a_command()), Appended)


async def test_closing_finishes_what_is_queued_and_takes_nothing_more() -> None:
    async with gathering(a_command()) as (channel, appender, _):
        waiting = [asyncio.create_task(appender.append(a_command())) for _ in range(5)]
        await eventually(lambda: appender.queued == 6)
        closing = asyncio.create_task(appender.close())
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailableError):
            await appender.append(a_command())
        channel.let_go()
        await closing

        assert all(isinstance(outcome, Appended) for outcome in await asyncio.gather(*waiting))
        assert channel.is_closed


async def test_closing_gives_up_after_its_own_deadline_and_says_so_to_everybody() -> None:
    stream = new_id()
    async with gathering(a_command(), AppenderLimits(drain_s=0.05)) as (_, appender, in_flight):
        waiting = [asyncio.create_task(appender.append(a_command(stream=stream))) for _ in range(3)]
        await eventually(lambda: appender.queued == 4)
        await appender.close()

        results = await asyncio.gather(in_flight, *waiting, return_exceptions=True)
        assert [type(result) for result in results] == [AppendTimeoutError] * 4
        assert appender.queued == 0
