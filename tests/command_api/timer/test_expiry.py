"""The timer over PostgreSQL: what is due expires once, exactly, whoever asks and however often it is restarted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from command_api.handling.handle import WritePath
from command_api.timer.expirer import Outcome
from domain.codec import decode
from infra import clock
from infra.event_store.memory import MemoryEventStore
from infra.event_store.protocol import LogCorruptError, StoredEvent
from tests.support.event_store.past_writer import expirer
from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, Json, Service, memory_service, postgres_service
from tests.support.services.servers import Database
from tests.support.waiting import eventually

WEEK = timedelta(days=7)
PART: tuple[str, Json] = ("captures", {"amount": "10.00", "final": False})


@dataclass
class Clock:
    """A clock that a test moves."""

    at: datetime = field(default_factory=clock.now)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
async def service(database: Database) -> AsyncIterator[Service]:
    async with postgres_service(database) as running:
        yield running


async def order(service: Service, *steps: tuple[str, Json]) -> str:
    order_id: str = (await service.post(body=order_body())).json()["id"]
    for path, body in steps:
        assert (await service.post(f"{ORDERS}/{order_id}/{path}", body)).status_code == 200
    return order_id


async def status_of(service: Service, order_id: str) -> str:
    """Ask for an order on the command side: a note changes nothing but tells where it stands."""
    answer = await service.post(f"{ORDERS}/{order_id}/notes", {"note": "where does it stand?"})
    status: str = answer.json()["status"]
    return status


async def timers_left(database: Database) -> int:
    return len(await database.fetch("SELECT FROM harbor.timers"))


async def test_what_is_due_expires_and_nothing_else(service: Service, database: Database) -> None:
    pending = await order(service)
    authorized = await order(service, ("authorize", {}))
    part = await order(service, ("authorize", {}), PART)
    captured = await order(service, ("authorize", {}), ("captures", {}))
    now = Clock()

    async with expirer(database, now) as timer:
        early = await timer.turn()
        now.at += WEEK
        late = await timer.turn()
        after = await timer.turn()

    assert (early.outcomes, late.outcomes, after.outcomes) == ({}, {Outcome.DONE: 3}, {})
    assert [await status_of(service, each) for each in (pending, authorized, part, captured)] == [
        "expired",
        "expired",
        "captured",
        "captured",
    ]
    assert await timers_left(database) == 0


async def test_a_capture_after_the_due_time_is_refused_while_no_timer_runs_and_the_timer_still_ends_the_order(
    database: Database,
) -> None:
    now = Clock()
    async with (
        expirer(database, now) as timer,
        memory_service(timer._store, writes=lambda store: WritePath(store, now=now)) as service,
    ):
        order_id = await order(service, ("authorize", {}))
        part = await order(service, ("authorize", {}), PART)
        intime = await service.post(f"{ORDERS}/{part}/captures", {"amount": "1.00", "final": False}, key="in-time")
        now.at += WEEK
        late = await service.post(f"{ORDERS}/{order_id}/captures", key="late")
        late_part = await service.post(f"{ORDERS}/{part}/captures")
        lost_answer = await service.post(f"{ORDERS}/{part}/captures", {"amount": "1.00", "final": False}, key="in-time")
        turn = await timer.turn()
        repeated = await service.post(f"{ORDERS}/{order_id}/captures", key="late")
        after = await service.post(f"{ORDERS}/{order_id}/captures")

        members = ("code", "current_status", "allowed_transitions", "current_version")
        assert [late.json()[member] for member in members] == ["order_terminal", "expired", [], 2]
        assert [after.json()[member] for member in members] == ["order_terminal", "expired", [], 3]
        assert (late.status_code, late_part.json()["code"]) == (409, "already_captured")
        assert (lost_answer.status_code, lost_answer.content) == (200, intime.content)
        assert (repeated.content, repeated.headers["idempotency-replayed"]) == (late.content, "true")
        assert turn.outcomes == {Outcome.DONE: 2}
        assert [await status_of(service, each) for each in (order_id, part)] == ["expired", "captured"]
        events = await service.store.read_all(0, 100)
    assert not [event for event in events if event.type == "order.captured" and event.occurred_at >= now.at]


async def test_an_expiry_is_recorded_as_the_systems_own_act_at_its_time(service: Service, database: Database) -> None:
    await order(service)
    now = Clock(clock.now() + WEEK)

    async with expirer(database, now) as timer:
        await timer.turn()

    [event] = await service.store.read_all(1, 10)
    envelope = decode(event.type, event.schema_version, event.payload).envelope
    assert (event.type, event.actor, event.tenant_id) == ("order.expired", "system:expiry", "acme.test")
    assert (envelope.actor.type, envelope.actor.id, envelope.actor.key_id) == ("system", "expiry", None)
    assert (envelope.occurred_at, envelope.partner_id) == (now.at, "acme")


async def test_an_order_that_moved_on_a_moment_before_stays_as_it_is(service: Service, database: Database) -> None:
    captured = await order(service, ("authorize", {}))
    authorized = await order(service)
    now = Clock()

    async with expirer(database, now) as timer:
        await timer.turn()
        await service.post(f"{ORDERS}/{captured}/captures")
        await service.post(f"{ORDERS}/{authorized}/authorize")
        # The log is not followed before the old timers are acted on.
        await database.fetch("UPDATE harbor.timers SET due_at = now(), attempt_at = now()")
        now.at = clock.now()
        await timer._expire(timer._timers(), await timer._timers().due(now.at, 10))  # the race itself
        assert await timers_left(database) == 0
        await timer.turn()

    assert [await status_of(service, each) for each in (captured, authorized)] == ["captured", "authorized"]
    assert await timers_left(database) == 1, "the authorization has a timer of its own"


async def test_two_timers_at_once_and_one_that_is_repeated_expire_each_order_once(
    service: Service, database: Database
) -> None:
    orders = [await order(service) for _ in range(30)]
    now = Clock(clock.now() + WEEK)

    async with expirer(database, now) as one, expirer(database, now) as other:
        await asyncio.gather(one.turn(), other.turn(), one.turn(), other.turn())

    assert await service.store.head() == 2 * len(orders)
    assert {event.type for event in await service.store.read_all(len(orders), 100)} == {"order.expired"}
    assert await timers_left(database) == 0


async def test_a_timer_that_died_before_it_forgot_what_it_did_does_nothing_twice(
    service: Service, database: Database
) -> None:
    order_id = await order(service)
    now = Clock(clock.now() + WEEK)

    async with expirer(database, now) as timer:
        await timer.turn()
    await database.fetch("UPDATE harbor.timer_position SET position = 0")
    async with expirer(database, now, log_batch=1) as again:
        turn = await again.turn()

    assert (turn.events, turn.outcomes, await service.store.head()) == (2, {}, 2)
    assert await status_of(service, order_id) == "expired"


async def test_a_lost_table_of_timers_comes_back_from_the_log_in_bounded_batches(
    service: Service, database: Database
) -> None:
    for _ in range(5):
        await order(service)
    now = Clock(clock.now() + WEEK)

    async with expirer(database, now, log_batch=2, batch=2) as timer:
        turns = [await timer.turn() for _ in range(4)]

    assert [turn.outcomes.total() for turn in turns] == [2, 2, 1, 0]
    assert [turn.is_behind for turn in turns] == [True, True, False, False]


async def test_an_order_that_fails_to_expire_is_tried_later_and_delays_no_other(
    service: Service, database: Database
) -> None:
    broken, good = await order(service), await order(service)
    await database.fetch("UPDATE harbor.events SET schema_version = 99 WHERE stream_id = $1", broken)
    now = Clock(clock.now() + WEEK)

    async with expirer(database, now) as timer:
        first, second = await timer.turn(), await timer.turn()
        now.at += timedelta(minutes=1)
        third = await timer.turn()

    assert (first.outcomes, second.outcomes) == ({Outcome.FAILED: 1, Outcome.DONE: 1}, {})
    assert third.outcomes == {Outcome.FAILED: 1}
    assert await status_of(service, good) == "expired"


async def test_no_key_of_a_partner_can_stand_in_the_way(service: Service, database: Database) -> None:
    created = (await service.post(body=order_body())).json()
    mine = f"system expire:{created['id']}:{created['expires_at']}"
    refused = await service.post(f"{ORDERS}/{created['id']}/notes", {"note": "mine"}, key=mine)

    async with expirer(database, Clock(clock.now() + WEEK)) as timer:
        turn = await timer.turn()

    assert (refused.json()["code"], turn.outcomes) == ("idempotency_key_invalid", {Outcome.DONE: 1})


async def test_the_loop_reports_when_it_is_ready_and_ends_after_the_current_turn(database: Database) -> None:
    stop = asyncio.Event()
    async with expirer(database, Clock()) as timer:
        assert timer.waiting_for() == ("starting",)
        running = asyncio.create_task(timer.run(stop))
        await eventually(lambda: timer.waiting_for() == ())
        stop.set()
        await asyncio.wait_for(running, 10)


async def test_a_hole_in_the_log_is_reported_as_one_and_not_as_an_outage(database: Database) -> None:
    class Holed(MemoryEventStore):
        async def read_all(self, after_position: int, limit: int) -> Sequence[StoredEvent]:
            raise LogCorruptError(f"nothing at {after_position + 1}, of {limit}")

    stop = asyncio.Event()
    async with expirer(database, Clock()) as timer:
        timer._store = Holed()
        running = asyncio.create_task(timer.run(stop))
        await eventually(lambda: timer.waiting_for() == ("log_corrupt",))
        stop.set()
        await running


async def test_an_order_that_is_authorized_while_it_is_expiring_keeps_its_new_timer(
    service: Service, database: Database
) -> None:
    order_id = await order(service)
    now = Clock()

    async with expirer(database, now) as timer, expirer(database, now) as other:
        await timer.turn()
        now.at += WEEK
        due = await timer._timers().due(now.at, 10)  # this process stops here, and goes on below
        await service.post(f"{ORDERS}/{order_id}/authorize")
        now.at -= WEEK
        await other.turn()
        now.at += WEEK - timedelta(seconds=5)
        await timer._expire(timer._timers(), due)
        assert (await timers_left(database), await status_of(service, order_id)) == (1, "authorized")
        now.at += WEEK
        late = await timer.turn()

    assert late.outcomes == {Outcome.DONE: 1}
    assert (await timers_left(database), await status_of(service, order_id)) == (0, "expired")
