"""A worker that reads the topic: exact read models whatever lies on the topic and whoever else works."""

import json
from dataclasses import replace

import pytest

from infra.clock import monotonic_s, new_id
from infra.kafka.records import Record, to_record
from infra.partitioning import partition_of
from infra.postgres.checkpoints import CheckpointKey, take
from projections import metrics
from projections.sources import kafka as kafka_source
from tests.support.event_store.log_filler import fill_log
from tests.support.requests.unreadable import put_unreadable
from tests.support.services.projecting import (
    Topics,
    applied_at_least,
    caught_up,
    differences,
    kafka_worker,
    log_of,
    predecessors,
    store_worker,
    writable_topic,
)
from tests.support.services.relaying import PARTITIONS, running_relay, topic_equals_store, topic_of
from tests.support.services.servers import Database, KafkaServer
from tests.support.waiting import eventually


async def test_two_workers_share_the_partitions_and_count_each_event_once(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    await fill_log(database.command_url, 60, "authorize")
    events = await log_of(database)
    async with writable_topic(kafka, topic_prefix) as topic, kafka_worker(database, kafka, topic_prefix, batch=3):
        await topic.relay(events[:60])
        async with kafka_worker(database, kafka, topic_prefix, batch=3) as second:
            await eventually(lambda: _has_partitions(second.worker.owned), timeout_s=30)
            await topic.relay(events[60:])
            await caught_up(database)

    assert await differences(database) == []


def _has_partitions(owned: frozenset[int]) -> bool:
    return 0 < len(owned) < PARTITIONS


async def test_a_worker_whose_partitions_were_taken_writes_nothing_more(
    database: Database, kafka: KafkaServer, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_source, "_LET_GO_S", 3600.0)  # it takes nothing back before we have looked
    await fill_log(database.command_url, 20)
    events = await log_of(database)
    async with writable_topic(kafka, topic_prefix) as topic, kafka_worker(database, kafka, topic_prefix) as zombie:
        await topic.relay(events[:10])
        await applied_at_least(database, 10)
        keys = [CheckpointKey("orders", 1, partition) for partition in range(PARTITIONS)]
        async with zombie.pool.acquire() as connection:
            await take(connection, keys)  # as a worker does to which the group assigned them
        await topic.relay(events[10:])
        await eventually(lambda: not zombie.worker.owned, what="it lets go")
        assert (await database.fetch("SELECT count(*) AS rows FROM harbor_read.orders_v1"))[0]["rows"] == 10

        # Nobody else works after all, so it takes them back by itself when the time is over, with a new epoch.
        assert isinstance(zombie.source, kafka_source.KafkaSource)
        zombie.source._let_go_until = monotonic_s()
        await caught_up(database)
    assert await differences(database) == []


async def test_the_source_can_be_exchanged_at_any_time(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    await fill_log(database.command_url, 20, "authorize")
    async with writable_topic(kafka, topic_prefix) as topic:
        await topic.relay(await log_of(database))
        async with kafka_worker(database, kafka, topic_prefix):
            await caught_up(database)

        await fill_log(database.command_url, 20, "cancel")
        async with store_worker(database):
            await caught_up(database)

        await fill_log(database.command_url, 20, "authorize", "capture")
        await topic.relay((await log_of(database))[40:])
        async with kafka_worker(database, kafka, topic_prefix):
            await caught_up(database)

    assert await differences(database) == []


async def test_a_topic_made_again_with_other_offsets_is_read_from_its_beginning(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    await fill_log(database.command_url, 20)
    async with writable_topic(kafka, topic_prefix) as topic:
        await topic.relay((await log_of(database))[:2] * 20)  # repeats: offsets run ahead of positions
        async with kafka_worker(database, kafka, topic_prefix):
            await applied_at_least(database, 2)

    await fill_log(database.command_url, 20, "authorize", "capture")
    other_prefix = f"{topic_prefix}again."
    async with writable_topic(kafka, other_prefix) as topic, kafka_worker(database, kafka, other_prefix):
        await topic.relay(await log_of(database))
        await caught_up(database)

    assert await differences(database) == []


async def test_a_topic_made_again_that_ends_where_the_worker_stands_is_read_from_its_beginning(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    await fill_log(database.command_url, 20, "authorize", "capture")
    log = await log_of(database)
    partition = partition_of(log[0].stream_id, PARTITIONS)
    count = sum(partition_of(event.stream_id, PARTITIONS) == partition for event in log)
    async with writable_topic(kafka, topic_prefix) as topic, kafka_worker(database, kafka, topic_prefix):
        await topic.relay(log[:1] * (count + 1))  # the next offset lies one behind the end of the topic to come

        async def stands_there() -> bool:
            sql = "SELECT FROM harbor.checkpoints WHERE partition = $1 AND next_offset = $2"
            return bool(await database.fetch(sql, partition, count + 1))

        await eventually(stands_there, 30)

    other_prefix = f"{topic_prefix}again."
    async with writable_topic(kafka, other_prefix) as topic:
        await topic.relay(log)
        async with kafka_worker(database, kafka, other_prefix):
            await caught_up(database)

    assert await differences(database) == []


async def test_repeated_damaged_and_foreign_records_change_nothing(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    await fill_log(database.command_url, 20, "authorize")
    events = await log_of(database)
    async with writable_topic(kafka, topic_prefix) as topic, kafka_worker(database, kafka, topic_prefix) as running:
        await topic.relay(events[:15])
        await topic.relay(events[5:20])  # a relay that started again before the last durable record
        for partition in range(PARTITIONS):
            await put_foreign(topic, partition)
            await put_unreadable(kafka.bootstrap, topic_of(topic_prefix).name, partition)
        # A genuine event in a partition it does not belong to, and one that claims a position still to come.
        stranger = events[35]
        await topic.put((partition_of(stranger.stream_id, PARTITIONS) + 1) % PARTITIONS, to_record(stranger, 1))
        forged = replace(events[0], position=37, event_id=new_id(), version=2)
        await topic.put(partition_of(forged.stream_id, PARTITIONS), to_record(forged, 1))
        for position in (1_000_000, 2**63 - 1, 2**200):
            order_id = next(each for each in iter(new_id, None) if partition_of(each, PARTITIONS) == 0)
            await topic.put(0, to_record(replace(events[0], position=position, stream_id=order_id), 1))
        for event in events[20:30]:
            await topic.put(partition_of(event.stream_id, PARTITIONS), damaged(to_record(event, 1), event.position))
        await topic.relay(events[30:])
        await caught_up(database)
        assert not running.task.done()

    assert await differences(database) == []
    assert await database.fetch("SELECT FROM harbor.dead_letters") == []


def damaged(record: Record, position: int) -> Record:
    """Cut the value of every other record short, and change one of its texts in the others."""
    value = record.value[:-20] if position % 2 else record.value.replace(b"acme", b"evil")
    return Record(record.key, value, record.headers)


async def put_foreign(topic: Topics, partition: int) -> None:
    await topic.put_raw(partition, b"hello", b"world")
    await topic.put_raw(partition, None, b"{}")
    await topic.put_raw(partition, str(new_id()).encode(), None)
    await topic.put_raw(partition, b"\xff", b"", [("position", b"1")])
    await topic.put_raw(partition, str(new_id()).encode(), b"{}", [("position", b"x" * 10_000)])
    await topic.put_raw(partition, str(new_id()).encode(), json.dumps({"position": 1}).encode())


async def test_relay_and_worker_wait_for_a_broker_that_is_away_and_outlive_one_that_is_killed(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    name = topic_of(topic_prefix).name
    await fill_log(database.command_url, 20)
    kafka.kill()
    try:
        async with (
            running_relay(database, kafka, topic_prefix, batch=10, flush_deadline_s=2.0) as relaying,
            kafka_worker(database, kafka, topic_prefix) as working,
        ):
            await eventually(lambda: relaying.relay.waiting_for() == ("broker_unreachable",))
            await eventually(lambda: working.worker.waiting_for() == ("broker_unreachable",))
            await kafka.start()
            await topic_equals_store(database, kafka, name)
            await caught_up(database)

            kafka.kill()
            await fill_log(database.command_url, 200, "authorize")
            # The lag stays true while nothing can be sent.
            await eventually(lambda: relaying.relay.state == "waiting", timeout_s=60)
            await eventually(lambda: relaying.metric("harbor_relay_lag_events") > 0)
            assert relaying.metric("harbor_relay_oldest_unsent_age_seconds") > 0
            await kafka.start()
            await topic_equals_store(database, kafka, name)
            await caught_up(database)
            await eventually(lambda: relaying.relay.state == "leading")
            assert working.worker.waiting_for() == ()
    finally:
        if kafka.running.process is None:
            await kafka.start()

    assert await differences(database) == []


async def test_a_worker_whose_broker_is_frozen_is_not_ready_and_does_not_know_its_lag(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    def lags() -> set[float]:
        return {sample.value for metric in metrics.LAG.collect() for sample in metric.samples}

    async with (
        writable_topic(kafka, topic_prefix) as topic,
        kafka_worker(database, kafka, topic_prefix, ask_every_s=1.0) as running,
    ):
        await fill_log(database.command_url, 5)
        await topic.relay(await log_of(database))
        await caught_up(database)
        await eventually(lambda: lags() == {0}, what="the ends of all partitions are known")
        kafka.running.pause()
        try:
            await eventually(lambda: running.worker.waiting_for() == ("broker_unreachable",))
            assert lags() == set()
        finally:
            kafka.running.resume()
        await eventually(lambda: running.worker.waiting_for() == ())
        await eventually(lambda: lags() == {0}, what="the ends of all partitions are known again")


async def test_an_append_becomes_visible_at_once(database: Database, kafka: KafkaServer, topic_prefix: str) -> None:
    async with writable_topic(kafka, topic_prefix) as topic, kafka_worker(database, kafka, topic_prefix, batch=1):
        await fill_log(database.command_url, 1)
        await topic.relay(await log_of(database))
        await caught_up(database)
        took_s = []
        for _ in range(2):
            seen = len(await log_of(database))
            await fill_log(database.command_url, 20)
            events = (await log_of(database))[seen:]
            started_s = monotonic_s()
            await topic.relay(events)
            await caught_up(database)
            took_s.append(monotonic_s() - started_s)

        # Far from the figure that the demo shows: only that nothing waits for a timer. A stalled machine does, once.
        assert min(took_s) < 5


async def test_what_the_topic_lacks_is_taken_from_the_event_store(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    await fill_log(database.command_url, 60, "authorize")
    events = await log_of(database)
    before = predecessors(events)
    async with writable_topic(kafka, topic_prefix) as topic, kafka_worker(database, kafka, topic_prefix):
        await topic.relay(events[:20], before)
        await applied_at_least(database, 20)
        # The topic was made again behind the worker's back: its offset now lies behind events it never saw.
        await topic.relay(events[90:], before)
        await caught_up(database)

    assert await differences(database) == []
    assert await database.fetch("SELECT FROM harbor.dead_letters") == []
