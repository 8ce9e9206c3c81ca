"""How the appender gathers, chains, bisects and sends again: on a channel that fails on cue."""

import asyncio

import pytest

from infra.clock import new_id
from infra.event_store.appender import Appender, AppenderLimits
from infra.event_store.protocol import (
    AppendCommand,
    Appended,
    AppendOutcome,
    AppendRejectedError,
    Duplicate,
    KeyMismatch,
    StoreUnavailableError,
    WrongExpectedVersion,
)
from tests.support.event_store.append_channels import Fault, ScriptedChannel, gathering, sizes
from tests.support.event_store.append_commands import OTHER_REQUEST, a_command, an_event
from tests.support.event_store.contract import appended
from tests.support.waiting import eventually


async def append_behind(
    appender: Appender, channel: ScriptedChannel, commands: list[AppendCommand]
) -> list[AppendOutcome]:
    """Append commands that all wait behind the one in flight, then let it go."""
    tasks = [asyncio.create_task(appender.append(command)) for command in commands]
    await eventually(lambda: appender.queued == len(commands) + 1)
    channel.let_go()
    return await asyncio.gather(*tasks)


async def test_a_lone_command_is_sent_at_once_and_those_that_come_meanwhile_gather() -> None:
    async with gathering(a_command()) as (channel, appender, _):
        await append_behind(appender, channel, [a_command() for _ in range(9)])

        assert sizes(channel) == [1, 9]


async def test_batches_are_capped_by_count() -> None:
    channel = ScriptedChannel()
    async with Appender(channel, AppenderLimits(batch_commands=200)) as appender:
        outcomes = await appender.append_all([a_command() for _ in range(500)])

    assert [appended(outcome).position for outcome in outcomes] == list(range(1, 501))
    assert sizes(channel) == [200, 200, 100]


async def test_batches_are_capped_by_bytes_but_a_large_command_travels_alone() -> None:
    small, large = an_event(b"x" * 400), an_event(b"x" * 5000)
    async with gathering(a_command(), AppenderLimits(batch_bytes=1000)) as (channel, appender, _):
        commands = [a_command(events=[event], response=b"") for event in (small, small, small, large, small)]
        await append_behind(appender, channel, commands)

        assert sizes(channel) == [1, 2, 1, 1, 1]


async def test_commands_on_one_stream_are_chained_in_order_and_delay_no_others() -> None:
    stream = new_id()
    async with gathering(a_command()) as (channel, appender, _):
        hot = [a_command(stream=stream, expected=version) for version in range(3)]
        others = [a_command() for _ in range(4)]

        outcomes = await append_behind(appender, channel, [*hot, *others])

        assert [appended(outcome).version for outcome in outcomes] == [1, 2, 3, 1, 1, 1, 1]
        assert sizes(channel) == [1, 5, 1, 1]


async def test_copies_of_a_request_get_the_response_of_the_first_without_another_call() -> None:
    first = a_command(key="k", response=b"first")
    async with gathering(first) as (channel, appender, in_flight):
        copies = [a_command(key="k", response=b"copy") for _ in range(50)]
        other = a_command(key="k", fingerprint=OTHER_REQUEST)

        outcomes = await append_behind(appender, channel, [*copies, other])

        won = appended(await in_flight)
        duplicate = Duplicate(201, b"first", first.stream_id, won.version, won.position, won.recorded_at)
        assert outcomes == [duplicate] * 50 + [KeyMismatch()]
        assert sizes(channel) == [1]


async def test_a_copy_of_a_refused_request_is_tried_itself() -> None:
    async with gathering(a_command(key="k", expected=5)) as (channel, appender, in_flight):
        (outcome,) = await append_behind(appender, channel, [a_command(key="k")])

        assert await in_flight == WrongExpectedVersion(0)
        assert appended(outcome).position == 1


async def test_bisecting_finds_the_bad_commands_and_saves_the_others() -> None:
    channel = ScriptedChannel()
    async with Appender(channel) as appender:
        results = await appender.append_all([a_command(key="\0" if n in {3, 11} else None) for n in range(16)])

    assert [n for n, result in enumerate(results) if isinstance(result, AppendRejectedError)] == [3, 11]
    assert sum(isinstance(result, Appended) for result in results) == 14
    assert await channel.store.head() == 14


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.NOT_NOW])
@pytest.mark.parametrize("count", [1, 5])
async def test_a_lost_outcome_is_found_out_by_sending_again(fault: Fault, count: int) -> None:
    channel = ScriptedChannel([fault, fault])
    async with Appender(channel) as appender:
        outcomes = await appender.append_all([a_command(events=2) for _ in range(count)])

    assert [(appended(each).version, appended(each).position) for each in outcomes] == [
        (2, 2 * number) for number in range(1, count + 1)
    ]
    assert await channel.store.head() == 2 * count


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
async def test_after_a_lost_outcome_what_another_process_recorded_is_not_taken_for_our_own(
    theirs: AppendCommand,
) -> None:
    channel = ScriptedChannel([Fault.LOST_BEFORE])
    recorded = appended(await channel.store.append(theirs))
    async with Appender(channel) as appender:
        outcome = await appender.append(OURS)

    assert outcome == Duplicate(theirs.status, theirs.response, theirs.stream_id, *recorded)


async def test_a_caller_that_goes_away_does_not_withdraw_its_commands() -> None:
    async with gathering(a_command()) as (channel, appender, in_flight):
        commands = [a_command() for _ in range(5)]
        behind = asyncio.create_task(appender.append_all(commands))
        await eventually(lambda: appender.queued == 6)
        in_flight.cancel()
        behind.cancel()
        channel.let_go()
        await eventually(lambda: appender.queued == 0)

        assert await channel.store.head() == 6
        assert [type(outcome) for outcome in await appender.append_all(commands)] == [Duplicate] * 5


@pytest.mark.parametrize("fault", [Fault.BUG, Fault.FAILED])
async def test_a_failure_that_no_command_caused_fails_its_batch_and_nothing_after_it(fault: Fault) -> None:
    async with Appender(ScriptedChannel([fault])) as appender:
        with pytest.raises(StoreUnavailableError, match="RuntimeError" if fault is Fault.BUG else fault.value):
            await appender.append(a_command())

        assert isinstance(await appender.append(a_command()), Appended)
