"""kill -9 of the dispatcher after the receiver's 2xx and before the record: the same id twice, nothing lost."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.support.services.servers import Database
from tests.support.services.system import System, one_process
from tests.support.services.webhooks import (
    SECRETS_KEY,
    LoopbackReceiver,
    create_endpoint,
    queue_orders,
    verify,
    wait_for_states,
)

START_S = 20
DISPATCHER = "dispatcher"


@pytest.fixture
async def system(database: Database, tmp_path: Path) -> AsyncIterator[System]:
    """Return a system of one dispatcher, which has not started."""
    settings = {
        "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY": base64.b64encode(SECRETS_KEY).decode(),
        "HARBOR_WEBHOOKS__ALLOW_NETWORKS": "127.0.0.0/8",
        "HARBOR_WEBHOOKS__CONNECT_TIMEOUT_S": "40",  # nothing is sent again because the machine stalled
        "HARBOR_WEBHOOKS__TOTAL_TIMEOUT_S": "40",
        "HARBOR_WEBHOOKS__LEASE_S": "60",
        "HARBOR_WEBHOOKS__SCHEDULE_SCALE": "0.001",
    }
    system, _port = one_process(DISPATCHER, database.worker_url, "p" * 32, tmp_path, **settings)
    yield system
    await system.stop()


async def test_kill_9_between_the_2xx_and_the_record_repeats_the_same_webhook_and_loses_none(
    database: Database, system: System
) -> None:
    async with LoopbackReceiver() as receiver:
        created = await create_endpoint(database, receiver.url)
        await queue_orders(database, 5)
        async with _records_held_back(database):
            await system.start(DISPATCHER)
            await receiver.wait_for(5, timeout_s=START_S)
            await system.kill(DISPATCHER)
        await wait_for_states(database, {"leased": 5})
        await database.fetch("UPDATE harbor.webhook_deliveries SET next_attempt_at = now()")  # their leases have ended
        await system.start(DISPATCHER)
        await wait_for_states(database, {"delivered": 5}, timeout_s=START_S)
    by_id: dict[str, list[bytes]] = {}
    for each in receiver.received:
        verify(each, created.secret)
        by_id.setdefault(each.webhook_id, []).append(each.body)
    assert len(by_id) == 5
    assert all(len(bodies) == 2 and len(set(bodies)) == 1 for bodies in by_id.values())


async def test_sigterm_lets_attempts_end_records_them_and_exits_with_0(database: Database, system: System) -> None:
    async with LoopbackReceiver() as receiver:
        await create_endpoint(database, receiver.url)
        await system.start(DISPATCHER)
        await queue_orders(database, 50)
        await receiver.wait_for(1, timeout_s=START_S)
        assert await system.stop() == {DISPATCHER: 0}
    states = await database.fetch("SELECT state, count(*) AS n FROM harbor.webhook_deliveries GROUP BY state")
    found = {row["state"]: row["n"] for row in states}
    assert found["delivered"] == len(receiver.received)
    assert "leased" not in found


@asynccontextmanager
async def _records_held_back(database: Database) -> AsyncIterator[None]:
    """Let attempts be made and nothing about them be recorded."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE harbor.webhook_attempts IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()
