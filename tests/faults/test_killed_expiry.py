"""kill -9 of timers, again and again, while orders move on around their due time: each expires once, none early."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from domain.codec import decode
from domain.order.due import due_at
from domain.order.state import OrderState, evolve
from infra.event_store.protocol import StoredEvent
from tests.support.event_store.past_writer import past_service
from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, Json, Service
from tests.support.services.servers import Database
from tests.support.services.system import System, clean_environment, free_ports
from tests.support.waiting import eventually

TIMERS = ("timer-1", "timer-2")
LEFT = timedelta(seconds=2)
AROUND_S: Final = (-0.1, 0.0, 0.05, 0.3, 1.5)
"""How long after its due time an order is moved on."""
STORIES: Final[tuple[tuple[tuple[str, Json], ...], ...]] = (
    (),
    (("authorize", {}),),
    (("authorize", {}), ("captures", {})),
    (("authorize", {}), ("captures", {"amount": "10.00", "final": False})),
)
"""What happens to an order; the last of it about when the order is due."""

_IS_OVER: Final = """
SELECT position = (SELECT max(last_position) FROM harbor.batches) AND NOT EXISTS (SELECT FROM harbor.timers)
FROM harbor.timer_position
"""


_HELD_UP: Final = """
SELECT array_agg(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'harbor-expiry%' AND wait_event_type = 'Lock'
"""
_EXPIRED: Final = "SELECT array_agg(stream_id) FROM harbor.events WHERE type = 'order.expired'"


@asynccontextmanager
async def timers(
    database: Database, logs: Path, running: Sequence[str] = TIMERS, **settings: str
) -> AsyncIterator[System]:
    """Run timers that look often and take little at once, so that a kill finds them in the middle of something."""
    ports = dict(zip(TIMERS, free_ports(len(TIMERS)), strict=True))
    shared = clean_environment() | {
        "HARBOR_POSTGRES__URL": database.command_url,
        "HARBOR_EXPIRY__POLL_S": "0.02",
        "HARBOR_EXPIRY__BATCH": "3",
        "HARBOR_EXPIRY__LOG_BATCH": "5",
    }
    shared |= settings
    system = System({name: shared | {"HARBOR_OPS__PORT": str(port)} for name, port in ports.items()}, ports, logs)
    try:
        for name in running:
            await system.start(name)
        for name in running:
            await system.ready(name)
        yield system
    finally:
        await system.stop()


async def disturb(system: System, kills: int) -> None:
    """Kill one timer after the other, each as soon as it works again."""
    for number in range(kills):
        name = TIMERS[number % len(TIMERS)]
        await system.kill(name)
        await system.start(name)
        await system.ready(name)


async def write_orders(service: Service, disturbed: "asyncio.Task[None]") -> Counter[tuple[str, int]]:
    """Write orders as long as timers are killed; count the statuses of each last step."""
    seen: Counter[tuple[str, int]] = Counter()
    async with asyncio.TaskGroup() as orders:
        for number in count():
            story, after_s = STORIES[number % len(STORIES)], AROUND_S[number % len(AROUND_S)]
            orders.create_task(live(service, story, LEFT.total_seconds() + after_s, seen))
            await asyncio.wait([disturbed], timeout=0.05)
            if disturbed.done():
                return seen
    raise AssertionError("numbers do not end")


async def live(
    service: Service, story: tuple[tuple[str, Json], ...], move_after_s: float, seen: Counter[tuple[str, int]]
) -> None:
    """Write an order; its last step comes `move_after_s` after the one before, which has set its due time."""
    order_id = (await service.post(body=order_body())).json()["id"]
    for path, body in story[:-1]:
        status = (await service.post(f"{ORDERS}/{order_id}/{path}", body)).status_code
        if status != 200:  # the machine stalled until the order was due
            seen["late", status] += 1
            return
    for path, body in story[-1:]:
        await asyncio.sleep(move_after_s)
        seen[path, (await service.post(f"{ORDERS}/{order_id}/{path}", body)).status_code] += 1


async def whole_log(service: Service) -> list[StoredEvent]:
    """Return all events, in order."""
    return list(await service.store.read_all(0, await service.store.head()))


def anomalies(log: list[StoredEvent]) -> list[str]:
    """Return what is wrong with a log in which every order's time is over: early, repeated, missing expiries."""
    found: list[str] = []
    states: dict[object, OrderState] = {}
    for event in log:
        state = states.get(event.stream_id)
        if event.actor == "system:expiry":
            due = due_at(state) if state else None
            if due is None or event.recorded_at < due:
                found.append(f"{event.stream_id}: {event.type} at {event.recorded_at}, due {due}")
        states[event.stream_id] = evolve(state, decode(event.type, event.schema_version, event.payload))
    return found + [f"{key}: never expired, {state.status}" for key, state in states.items() if due_at(state)]


@pytest.mark.timeout(600)
async def test_kill_nine_of_timers_lets_each_due_order_expire_once_and_none_early(
    database: Database, tmp_path: Path, *, is_full: bool
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    async with past_service(database, LEFT) as service, timers(database, tmp_path) as system:
        disturbed = asyncio.create_task(disturb(system, kills=6 if is_full else 3))
        seen = await write_orders(service, disturbed)
        await disturbed

        await eventually(lambda: admin.fetchval(_IS_OVER), timeout_s=60.0, what="every timer is done")
        log = await whole_log(service)
        statuses = await system.stop()
    await admin.close()

    assert anomalies(log) == []
    expired = [event for event in log if event.actor == "system:expiry"]
    assert len(expired) == len({event.stream_id for event in expired}), "an order expires once"
    assert {event.type for event in expired} == {"order.expired", "order.authorization_released"}
    assert set(seen) >= {("authorize", 200), ("captures", 200), ("captures", 409)}
    assert {status for path, status in seen if path == "late"} <= {409}
    assert statuses == dict.fromkeys(TIMERS, 0)


@asynccontextmanager
async def appends_held_up(database: Database) -> AsyncIterator[None]:
    """Block every append, and no reader, while the context is open."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE harbor.events IN SHARE ROW EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


@pytest.mark.parametrize("is_append_lost", [True, False], ids=["its append is lost", "its append comes through"])
async def test_a_timer_killed_during_its_append_forgets_nothing(
    database: Database, tmp_path: Path, *, is_append_lost: bool
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    async with past_service(database, timedelta(0)) as service:
        order_ids = sorted([(await service.post(body=order_body())).json()["id"] for _ in range(5)])
    killed, later = TIMERS

    async with timers(database, tmp_path, running=(), HARBOR_EXPIRY__BATCH="10") as system:
        async with appends_held_up(database):
            await system.start(killed)
            await eventually(lambda: admin.fetchval(_HELD_UP), what="the timer appends, and waits")
            await system.kill(killed)
            if is_append_lost:  # else PostgreSQL, which does not notice the lost client, finishes it when it can
                await admin.execute(f"SELECT pg_terminate_backend(pid, 10000) FROM unnest(({_HELD_UP})) AS pid")
        await system.start(later)

        await eventually(lambda: admin.fetchval(_IS_OVER), what="every timer is done")
        expired = await admin.fetchval(_EXPIRED)
        statuses = await system.stop()
    await admin.close()

    assert sorted(map(str, expired or ())) == order_ids
    assert statuses == {later: 0}
