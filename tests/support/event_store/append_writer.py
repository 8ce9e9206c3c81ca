"""A writer process for races: appends many commands of one to three events through an appender whose channel fails.

`python -m tests.support.event_store.append_writer URL NAME COMMANDS AT_ONCE DISTURBED_SHARE` disturbs that share of its
batches, and resolves every unknown outcome by the same key. Prints one line per acknowledged command,
`ack KEY STREAM VERSION POSITION EVENT_ID,...`, and one `disturbed WHAT COUNT` per kind of disturbance.
"""

import asyncio
import random
import sys
from collections.abc import Iterator
from functools import partial
from uuid import UUID

from pydantic import SecretStr

from infra.clock import new_id
from infra.event_store.appender import Appender, AppenderLimits
from infra.event_store.protocol import AppendCommand, Appended, AppendTimeoutError, Duplicate, StoreUnavailableError
from infra.postgres.pool import connect
from infra.settings import PostgresSettings
from tests.support.event_store.append_commands import a_command, an_event
from tests.support.event_store.disturbed_channel import DisturbedChannel

APPLICATION = "append-writer"
LIMITS = AppenderLimits(batch_commands=50)


def events_of(number: int) -> int:
    """Return how many events command `number` of a writer has: 1, 2, 3, 1, 2, 3, ..."""
    return number % 3 + 1


def payload_of(key: str, index: int) -> bytes:
    """Return the payload of event `index` of the command with this key."""
    return b'{"key":"%b","index":%d}' % (key.encode(), index)


async def write(url: str, name: str, count: int, at_once: int, share: float) -> None:
    """Append `count` commands on streams of this writer and print what was acknowledged."""
    settings = PostgresSettings(url=SecretStr(url))
    numbers = iter(range(count))
    chance = random.Random(name)  # noqa: S311  # variety, not secrecy
    channel = DisturbedChannel(partial(connect, settings, application_name=APPLICATION), share, chance)
    async with Appender(channel, LIMITS) as appender, asyncio.TaskGroup() as group:
        for worker in range(at_once):
            group.create_task(_work(appender, name, worker, numbers))
    for disturbance, times in channel.counts.items():
        sys.stdout.write(f"disturbed {disturbance.value} {times}\n")


async def _work(appender: Appender, name: str, worker: int, numbers: Iterator[int]) -> None:
    chance = random.Random(f"{name}-{worker}")  # noqa: S311  # variety, not secrecy
    streams: list[tuple[UUID, int]] = []
    for number in numbers:
        stream, version = streams.pop() if streams and chance.random() < 0.5 else (new_id(), 0)
        command = _command(f"{name}-{number}", f"{name}.test", stream, version, events_of(number))
        outcome = await _settle(appender, command)
        streams.append((stream, outcome.version))
        ids = ",".join(event.event_id.hex for event in command.events)
        sys.stdout.write(f"ack {command.key} {stream.hex} {outcome.version} {outcome.position} {ids}\n")


def _command(key: str, tenant: str, stream: UUID, expected: int, events: int) -> AppendCommand:
    made = [an_event(payload_of(key, index)) for index in range(events)]
    return a_command(tenant=tenant, key=key, stream=stream, expected=expected, events=made)


async def _settle(appender: Appender, command: AppendCommand) -> Appended | Duplicate:
    while True:
        try:
            outcome = await appender.append(command)
        except (AppendTimeoutError, StoreUnavailableError):
            continue
        if isinstance(outcome, Appended | Duplicate):
            return outcome
        raise AssertionError(f"{command.key}: {outcome}")


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
