"""A writer process for races: `python -m tests.support.append_writer URL NAME COMMANDS`.

Appends that many commands, several at once, through the appender, resolving every unknown outcome by the same key,
and prints one line `ack key version position` per acknowledged command.
"""

import asyncio
import random
import sys
from uuid import UUID

from pydantic import SecretStr

from infra.clock import new_id
from infra.events import AppendCommand, Appended, AppendTimeoutError, Duplicate, EventStore, StoreUnavailableError
from infra.postgres.event_store import open_event_store
from infra.postgres.pool import open_pool
from infra.settings import PostgresSettings
from tests.support.append_commands import a_command

AT_ONCE = 20


async def write(url: str, name: str, count: int) -> None:
    """Append `count` commands on streams of this writer, two events each."""
    settings = PostgresSettings(url=SecretStr(url))
    pool = await open_pool(settings, application_name=f"writer-{name}")
    async with open_event_store(settings, pool) as store, asyncio.TaskGroup() as group:
        for worker in range(AT_ONCE):
            group.create_task(_work(store, f"{name}-{worker}", count // AT_ONCE))
    await pool.close()


async def _work(store: EventStore, name: str, count: int) -> None:
    streams: list[tuple[UUID, int]] = []
    for number in range(count):
        if streams and random.random() < 0.5:  # noqa: S311  # variety, not secrecy
            stream, version = streams.pop()
        else:
            stream, version = new_id(), 0
        command = a_command(tenant=f"{name}.test", key=f"{name}-{number}", stream=stream, expected=version, events=2)
        outcome = await _settle(store, command)
        streams.append((stream, outcome.version))
        sys.stdout.write(f"ack {command.key} {outcome.version} {outcome.position}\n")
    sys.stdout.flush()


async def _settle(store: EventStore, command: AppendCommand) -> Appended | Duplicate:
    while True:
        try:
            outcome = await store.append(command)
        except (AppendTimeoutError, StoreUnavailableError):
            continue
        if isinstance(outcome, Appended | Duplicate):
            return outcome
        raise AssertionError(f"{command.key}: {outcome}")


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
