"""Dead letters: a poison event parks its own order and no other, and a retry heals it from the event store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from infra.postgres.connection import Connection
from projections.dead_letters import command_line
from projections.dead_letters.store import DeadLetter
from projections.projection import LogRecord, Projection, ProjectionError
from projections.read_models.order_timeline import OrderTimelineProjection
from projections.read_models.orders import OrdersProjection
from tests.support.event_store.log_filler import fill_log
from tests.support.services.projecting import caught_up, differences, kafka_worker, log_of, store_worker, writable_topic
from tests.support.services.servers import Database, KafkaServer
from tests.support.waiting import eventually


@dataclass(slots=True)
class Allergic:
    """The projection `orders`, which cannot bear events of some orders from a sequence on."""

    cannot_bear: dict[UUID, int] = field(default_factory=dict)
    inner: Projection = field(default_factory=OrdersProjection)
    name: str = "orders"
    version: int = 1

    async def apply(self, connection: Connection, records: Sequence[LogRecord]) -> None:
        await self.inner.apply(connection, records)
        for record in records:
            if record.sequence >= self.cannot_bear.get(record.order_id, record.sequence + 1):
                raise ProjectionError("cannot bear it")


TIMELINE = OrderTimelineProjection()


async def parked(connection: Connection, status: str | None = "parked") -> list[DeadLetter]:
    return await command_line.list_dead_letters(connection, status=status, projection=None, limit=100)


async def letters_of(database: Database, *, status: str | None = "parked") -> list[DeadLetter]:
    connection = await asyncpg.connect(database.worker_url)
    try:
        return await parked(connection, status)
    finally:
        await connection.close()


async def test_a_poison_event_parks_its_order_and_the_rest_flows(database: Database) -> None:
    sick, *_ = await fill_log(database.command_url, 30, "authorize", "capture")
    async with store_worker(database, [Allergic({sick: 2}), TIMELINE]):
        await caught_up(database)

    assert await differences(database) == []  # which expects parked events to be absent
    found = await letters_of(database)
    assert [(each.projection, each.order_id, each.sequence, each.reason) for each in found] == [
        ("orders", sick, 2, "poison"),
        ("orders", sick, 3, "behind"),
    ]
    assert found[0].error == "ProjectionError: cannot bear it"
    rows = await database.fetch("SELECT version, count(*) AS orders FROM harbor_read.orders_v1 GROUP BY version")
    assert {row["version"]: row["orders"] for row in rows} == {3: 29, 1: 1}


async def test_later_events_of_a_parked_order_are_parked_too(database: Database) -> None:
    order_ids = await fill_log(database.command_url, 10, "authorize", "capture")
    async with store_worker(database, [Allergic(dict.fromkeys(order_ids, 1)), TIMELINE], batch=10):
        await caught_up(database)

    found = await letters_of(database)
    assert {each.reason for each in found if each.sequence == 1} == {"poison"}
    assert {each.reason for each in found if each.sequence > 1} == {"behind"}
    assert len(found) == 30


async def test_a_retry_heals_what_can_be_applied_now(database: Database) -> None:
    sick, *_ = await fill_log(database.command_url, 10, "authorize", "capture")
    allergic = Allergic({sick: 2})
    async with store_worker(database, [allergic, TIMELINE]) as running:
        await caught_up(database)
        allergic.cannot_bear = {}
        async with running.pool.acquire() as connection:
            letter, _ = await parked(connection)
            assert await command_line.retry(connection, allergic, letter) == command_line.Retried(2, 0, None)
            assert await command_line.retry(connection, allergic, letter) == command_line.Retried(
                0, 0, command_line.NOTHING_PARKED
            )

        # The order is well again: its next events are simply applied.
        await fill_log(database.command_url, 1)
        await caught_up(database)

    assert await letters_of(database, status=None) == []
    assert await differences(database) == []


async def test_a_retry_that_fails_again_keeps_the_letters_and_counts_the_attempt(database: Database) -> None:
    sick, *_ = await fill_log(database.command_url, 2, "authorize", "capture")
    allergic = Allergic({sick: 1})
    async with store_worker(database, [allergic, TIMELINE]) as running:
        await caught_up(database)
        allergic.cannot_bear = {sick: 3}
        async with running.pool.acquire() as connection:
            letter, *_ = await parked(connection)
            assert await command_line.retry(connection, allergic, letter) == command_line.Retried(
                2, 1, "ProjectionError: cannot bear it"
            )

    (left,) = await letters_of(database)
    assert (left.sequence, left.reason, left.attempts) == (3, "poison", 2)
    assert await differences(database) == []


async def test_events_missing_on_the_topic_park_the_order_everywhere_and_a_retry_brings_them(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    sick, *_ = await fill_log(database.command_url, 5, "authorize", "capture")
    events = [each for each in await log_of(database) if (each.stream_id, each.version) != (sick, 2)]
    projections: list[Projection] = [OrdersProjection(), TIMELINE]
    async with writable_topic(kafka, topic_prefix) as topic:
        await topic.relay(events)
        async with kafka_worker(database, kafka, topic_prefix, projections) as running:
            found = await eventually(lambda: letters_of(database))
            assert {(each.projection, each.sequence, each.retry_from, each.reason) for each in found} == {
                ("orders", 3, 2, "gap"),
                ("order_timeline", 3, 2, "gap"),
            }
            async with running.pool.acquire() as connection:
                for letter in found:
                    projection = next(each for each in projections if each.name == letter.projection)
                    assert await command_line.retry(connection, projection, letter) == command_line.Retried(2, 0, None)
            await caught_up(database)

    assert await differences(database) == []


async def test_a_discarded_event_is_never_applied_and_a_retry_brings_the_later_ones(database: Database) -> None:
    sick, *_ = await fill_log(database.command_url, 3, "authorize", "capture")
    allergic = Allergic({sick: 2}, TIMELINE, "order_timeline")
    async with store_worker(database, [OrdersProjection(), allergic]) as running:
        await caught_up(database)
        allergic.cannot_bear = {}
        async with running.pool.acquire() as connection:
            poison, behind = await parked(connection)
            assert await command_line.discard(connection, poison.dead_letter_id) is not None
            assert await command_line.discard(connection, poison.dead_letter_id) is None
            assert await command_line.retry(connection, allergic, behind) == command_line.Retried(1, 0, None)

    rows = await database.fetch("SELECT sequence FROM harbor_read.order_timeline_v1 WHERE order_id = $1", sick)
    assert sorted(row["sequence"] for row in rows) == [1, 3]
    assert await differences(database) == []


async def test_a_projection_that_fails_with_every_order_halts_the_worker_instead_of_parking_the_log(
    database: Database,
) -> None:
    order_ids = await fill_log(database.command_url, 30)
    broken = Allergic(dict.fromkeys(order_ids, 1))
    async with store_worker(database, [broken, TIMELINE], batch=10) as running:
        await eventually(lambda: running.worker.waiting_for() == ("too_many_poison_orders",), what="the worker halts")
    assert len(await letters_of(database)) == 20  # two whole batches, none of the third
    assert {row["applied"] for row in await _applied(database)} == {20}

    broken.cannot_bear = {}  # mended, and started again
    async with store_worker(database, [broken, TIMELINE], batch=10):
        await caught_up(database)
    assert len(await letters_of(database)) == 20


async def _applied(database: Database) -> list[asyncpg.Record]:
    sql = "SELECT sum(applied_count)::int AS applied FROM harbor.checkpoints GROUP BY projection"
    return await database.fetch(sql)
