"""kill -9 of any process in mid-stream loses nothing and doubles nothing."""

from functools import partial
from pathlib import Path

import pytest

from tests.demo.journey import travel
from tests.demo.orders import generated
from tests.support.services.servers import Database, KafkaServer
from tests.support.services.system import System, running_system

ORDERS = 120
KILLS = 3
AT_ONCE = 4


async def kill_and_restart(system: System, name: str) -> None:
    """Kill one process again and again, each time as soon as it works again."""
    for _ in range(KILLS):
        await system.kill(name)
        await system.start(name)
        await system.ready(name)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["relay", "worker", "dispatcher", "command_api"])
async def test_kill_nine_in_mid_stream_loses_and_doubles_nothing(
    victim: str, database: Database, kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    async with running_system(database, kafka, topic_prefix, tmp_path) as (system, stack):
        drafts = list(generated(ORDERS, seed=len(victim), run=victim))
        disturb = partial(kill_and_restart, system, victim)
        journey = await travel(stack, drafts, AT_ONCE, victim, progress=False, meanwhile=disturb)
        assert journey.anomalies() == []
        assert len(journey.history.orders or ()) == ORDERS


@pytest.mark.timeout(300)
async def test_sigterm_ends_every_process_cleanly(
    database: Database, kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    async with running_system(database, kafka, topic_prefix, tmp_path) as (system, _stack):
        statuses = await system.stop()
    assert statuses == dict.fromkeys(("relay", "worker", "dispatcher", "command_api", "query_api"), 0)
