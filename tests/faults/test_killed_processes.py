"""kill -9 of any process in mid-stream loses nothing and doubles nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.demo.journey import travel
from tests.demo.orders import Draft, generated
from tests.support.services.servers import Database, KafkaServer, PostgresCluster
from tests.support.services.system import COMMANDS, READY_S, System, running_system
from tests.support.waiting import eventually

VICTIMS = ("relay", "worker", "dispatcher", "command_api")
AT_ONCE = 4
FROZEN_S = 30.0
BETWEEN = 10
"""Orders begun between two kills, so that each kill finds some under way."""


class Orders:
    """Orders without end, until `is_over`; `begun` counts them."""

    def __init__(self) -> None:
        self.begun = 0
        self.is_over = False

    def __iter__(self) -> Iterator[Draft]:
        for draft in generated(1_000_000, seed=1, run="killed"):
            if self.is_over:
                return
            self.begun += 1
            yield draft

    async def go_on(self) -> None:
        """Return when some more have begun."""
        due = self.begun + BETWEEN
        await eventually(lambda: self.begun >= due, timeout_s=READY_S, what="orders go on")


async def kill_and_restart(system: System, orders: Orders, kills: int) -> None:
    """Kill each process so often, each time while orders flow."""
    for name in VICTIMS:
        for _ in range(kills):
            await orders.go_on()
            await system.kill(name)
            await system.start(name)
            await system.ready(name)
    await orders.go_on()
    orders.is_over = True


async def healths_of_frozen(postgres_cluster: PostgresCluster, system: System) -> dict[str, tuple[int, object]]:
    """Return what /readyz of each process says while PostgreSQL is frozen: the document, not a problem."""

    async def health(port: int) -> tuple[int, object]:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FROZEN_S)) as session,
            session.get(f"http://127.0.0.1:{port}/readyz") as response,
        ):
            return response.status, await response.json()

    postgres_cluster.running.pause()
    try:
        answers = await asyncio.gather(*map(health, system.ports.values()))
    finally:
        postgres_cluster.running.resume()
    return dict(zip(system.ports, answers, strict=True))


@pytest.mark.timeout(900)
async def test_kill_nine_in_mid_stream_loses_and_doubles_nothing(
    database: Database,
    postgres_cluster: PostgresCluster,
    kafka: KafkaServer,
    topic_prefix: str,
    tmp_path: Path,
    *,
    is_full: bool,
) -> None:
    orders = Orders()
    async with running_system(database, kafka, topic_prefix, tmp_path) as (system, stack):
        async with asyncio.TaskGroup() as group:
            journey = group.create_task(travel(stack, orders, AT_ONCE, "killed"))
            group.create_task(kill_and_restart(system, orders, kills=6 if is_full else 2))
        frozen = await healths_of_frozen(postgres_cluster, system)
        statuses = await system.stop()

    assert journey.result().anomalies() == []
    assert len(journey.result().history.orders or ()) == orders.begun
    # and a PostgreSQL that is frozen, which closes nothing, is noticed by every process,
    document = {"status": "waiting", "waiting_for": ["database_unreachable"]}
    assert frozen == dict.fromkeys(COMMANDS, (503, document))
    # and SIGTERM ends every process cleanly
    assert statuses == dict.fromkeys(COMMANDS, 0)
