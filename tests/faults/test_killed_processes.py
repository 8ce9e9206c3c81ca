"""kill -9 of any process in mid-stream loses nothing and doubles nothing."""

import asyncio
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from tests.demo.journey import travel
from tests.demo.orders import Draft, generated
from tests.support.services.servers import Database, KafkaServer
from tests.support.services.system import COMMANDS, System, running_system

VICTIMS = ("relay", "worker", "dispatcher", "command_api")
AT_ONCE = 4
MOST_ORDERS = 100_000


async def kill_and_restart(system: System, kills: int) -> None:
    """Kill each process so often, each time as soon as it works again."""
    for name in VICTIMS:
        for _ in range(kills):
            await system.kill(name)
            await system.start(name)
            await system.ready(name)


def orders_until(disturbed: "asyncio.Task[None]") -> Iterator[Draft]:
    """Return orders as long as processes are killed."""
    return takewhile(lambda _draft: not disturbed.done(), generated(MOST_ORDERS, seed=1, run="killed"))


@pytest.mark.timeout(900)
async def test_kill_nine_in_mid_stream_loses_and_doubles_nothing(
    database: Database, kafka: KafkaServer, topic_prefix: str, tmp_path: Path, *, is_full: bool
) -> None:
    async with running_system(database, kafka, topic_prefix, tmp_path) as (system, stack):
        disturbed = asyncio.create_task(kill_and_restart(system, kills=5 if is_full else 2))
        journey = await travel(stack, orders_until(disturbed), AT_ONCE, "killed")
        await disturbed
        statuses = await system.stop()

    assert journey.anomalies() == []
    assert len(journey.history.orders or ()) == len(journey.ledger.documents) > 0
    # and SIGTERM ends every process cleanly
    assert statuses == dict.fromkeys(COMMANDS, 0)
