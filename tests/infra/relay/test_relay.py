"""The relay on a real store and a real broker: whatever happens, the topic ends up equal to the store."""

import asyncio

import asyncpg
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from infra.kafka.clients import close, make_admin, make_producer
from infra.kafka.topics import Topic, ensure_topics
from infra.settings import RelaySettings
from tests.support.event_store.log_filler import append_orders, fill_log
from tests.support.requests.unreadable import put_unreadable
from tests.support.services.relaying import (
    PARTITIONS,
    running_relay,
    topic_equals_store,
    topic_of,
    topic_records,
)
from tests.support.services.servers import Database, KafkaServer
from tests.support.waiting import eventually


async def test_the_log_is_published_in_order_and_neither_new_events_nor_a_restart_repeat_any(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    await fill_log(database.command_url, 100, "authorize", "capture")
    async with running_relay(database, kafka, topic_prefix) as running:
        await topic_equals_store(database, kafka, topic_of(topic_prefix).name)
        await fill_log(database.command_url, 1)  # while the relay idles
        await eventually(lambda: running.metric("harbor_relay_published_events_total") == 301)
    await fill_log(database.command_url, 50, "authorize")
    async with running_relay(database, kafka, topic_prefix):
        arrived = await topic_equals_store(database, kafka, topic_of(topic_prefix).name)

    assert len(arrived) == 401


async def test_an_idle_partition_does_not_make_a_restart_read_history_again(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    # given one order, whose partition alone holds events
    connection = await asyncpg.connect(database.command_url)
    await append_orders(connection, 1, "authorize", "capture")
    await connection.close()
    async with running_relay(database, kafka, topic_prefix):
        await topic_equals_store(database, kafka, topic_of(topic_prefix).name)
    # when the relay starts again, then it starts behind them although three partitions are empty
    async with running_relay(database, kafka, topic_prefix) as running:
        await eventually(lambda: running.relay.state == "leading")
        assert running.metric("harbor_relay_position") == 3
        await fill_log(database.command_url, 1)
        await eventually(lambda: running.metric("harbor_relay_position") == 4)
        assert running.metric("harbor_relay_published_events_total") == 1


async def test_two_relays_at_once_can_only_repeat(database: Database, kafka: KafkaServer, topic_prefix: str) -> None:
    await fill_log(database.command_url, 100, "authorize")
    async with (
        running_relay(database, kafka, topic_prefix, batch=20, lease_name="one") as one,
        running_relay(database, kafka, topic_prefix, batch=30, lease_name="another") as another,
    ):
        await eventually(lambda: one.relay.state == another.relay.state == "leading")
        await fill_log(database.command_url, 400, "authorize")
        await eventually(lambda: one.metric("harbor_relay_position") == another.metric("harbor_relay_position") == 1000)
        arrived = await topic_equals_store(database, kafka, topic_of(topic_prefix).name)
    assert len(arrived) > 1000


async def test_a_standby_takes_over_from_a_silent_leader_and_says_so_in_the_epoch(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    topic = topic_of(topic_prefix)
    # given a leader that lives
    await _execute(
        database,
        "INSERT INTO harbor.leases (name, holder, epoch, renewals, renewed_at) "
        f"VALUES ('relay {topic.name}', 'silent', 7, 100, clock_timestamp() + interval '1 hour')",
    )
    async with running_relay(database, kafka, topic_prefix, lease_ttl_s=1.0) as standby:
        await eventually(lambda: standby.relay.state == "standby")
        assert standby.relay.waiting_for() == ()
        # when it renews its lease for the last time
        await _execute(database, "UPDATE harbor.leases SET renewals = renewals + 1, renewed_at = clock_timestamp()")
        await eventually(lambda: standby.metric("harbor_relay_leader") == 1)
        await fill_log(database.command_url, 1)
        arrived = await topic_equals_store(database, kafka, topic.name)
    assert arrived[0].headers["epoch"] == b"8"


def test_a_standby_takes_over_within_three_seconds() -> None:
    # what a lease of that time to live promises is tested with clocks that the test moves
    assert RelaySettings().lease_ttl_s <= 3.0


async def test_a_topic_emptied_or_deleted_while_nobody_relays_is_filled_again(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    name = topic_of(topic_prefix).name
    await fill_log(database.command_url, 50, "authorize")
    async with running_relay(database, kafka, topic_prefix):
        await topic_equals_store(database, kafka, name)

    await _empty_topic(kafka, name)
    assert await topic_records(kafka, name) == []
    async with running_relay(database, kafka, topic_prefix):
        assert len(await topic_equals_store(database, kafka, name)) == 100

    await _delete_topic(kafka, name)
    async with running_relay(database, kafka, topic_prefix):
        await topic_equals_store(database, kafka, name)


async def test_a_topic_emptied_under_an_idle_relay_is_filled_again_without_a_new_event(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    name = topic_of(topic_prefix).name
    await fill_log(database.command_url, 50, "authorize")
    async with running_relay(database, kafka, topic_prefix):
        await topic_equals_store(database, kafka, name)
        await _empty_topic(kafka, name)
        await topic_equals_store(database, kafka, name)


async def test_a_frozen_broker_does_not_freeze_the_relay(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    # No look at offsets meanwhile: aiokafka leaks a connection that is cut off while it asks for metadata.
    async with running_relay(database, kafka, topic_prefix, flush_deadline_s=1.0, offsets_every_s=3600.0) as running:
        await eventually(lambda: running.relay.state == "leading")
        kafka.running.pause()
        try:
            await fill_log(database.command_url, 50)
            await eventually(lambda: running.relay.state == "waiting")
        finally:
            kafka.running.resume()
        await topic_equals_store(database, kafka, topic_of(topic_prefix).name)


async def test_every_database_connection_cut_again_and_again_loses_nothing(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    async with running_relay(database, kafka, topic_prefix, batch=50) as running:
        for _ in range(5):
            await fill_log(database.command_url, 100, "authorize")
            await _execute(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'relay under test'",
            )
        await topic_equals_store(database, kafka, topic_of(topic_prefix).name)
        await eventually(lambda: running.relay.state == "leading")


async def test_a_topic_made_again_under_a_sending_relay_ends_up_whole_and_in_order(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    topic = topic_of(topic_prefix)
    await fill_log(database.command_url, 100, "authorize")
    async with running_relay(database, kafka, topic_prefix, flush_deadline_s=3.0) as running:
        await topic_equals_store(database, kafka, topic.name)
        # when the topic vanishes and is made again while events come in
        filling = asyncio.create_task(fill_log(database.command_url, 300, "authorize"))
        await _make_again(kafka, topic)
        await filling
        await fill_log(database.command_url, 20)
        await topic_equals_store(database, kafka, topic.name)
        await eventually(lambda: running.relay.state == "leading")


async def test_what_landed_behind_nothing_in_a_topic_made_again_is_purged_and_filled_from_the_beginning(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    topic = topic_of(topic_prefix)
    await fill_log(database.command_url, 100, "authorize")
    async with running_relay(database, kafka, topic_prefix, offsets_every_s=3600.0) as running:
        await topic_equals_store(database, kafka, topic.name)
        # given a relay with nothing to send, which does not notice that its topic is another one
        await _make_again(kafka, topic)
        # when it sends again
        await fill_log(database.command_url, 20, "authorize")
        # then the hole is found, the partitions are purged and filled from the beginning
        await topic_equals_store(database, kafka, topic.name)
        assert running.metric("harbor_relay_errors_total", error="TopicRewoundError") >= 1


async def test_a_topic_ahead_of_the_store_halts_the_relay_with_an_alarm_until_they_agree(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    name = topic_of(topic_prefix).name
    await fill_log(database.command_url, 20)
    async with running_relay(database, kafka, topic_prefix):
        published = await topic_equals_store(database, kafka, name)
    # given a store restored from a copy that knows less
    await _execute(database, "DELETE FROM harbor.events WHERE position > 10")
    await _execute(database, "UPDATE harbor.batches SET last_position = 10, count = 10")
    async with running_relay(database, kafka, topic_prefix) as running:
        await eventually(lambda: running.relay.state == "halted")
        assert running.metric("harbor_relay_halted") == 1
        assert running.relay.waiting_for() == ("topic_ahead_of_store",)
        assert len(await topic_records(kafka, name)) == len(published)


async def test_records_of_somebody_else_or_unreadable_ones_at_the_end_of_a_partition_are_stepped_over(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    name = topic_of(topic_prefix).name
    await fill_log(database.command_url, 20)
    async with running_relay(database, kafka, topic_prefix):
        arrived = await topic_equals_store(database, kafka, name)
    producer = make_producer(kafka.bootstrap, client_id="somebody-else")
    await producer.start()
    for partition in range(PARTITIONS):
        for _ in range(3):
            await producer.send_and_wait(name, b"{}", partition=partition)
        await put_unreadable(kafka.bootstrap, name, partition)
    await producer.stop()
    async with running_relay(database, kafka, topic_prefix) as running:
        await eventually(lambda: running.relay.state == "leading")
        await fill_log(database.command_url, 1)
        await eventually(lambda: running.metric("harbor_relay_position") == len(arrived) + 1)
    assert running.metric("harbor_relay_published_events_total") == 1


async def _execute(database: Database, statement: str) -> None:
    connection = await asyncpg.connect(database.admin_url)
    await connection.execute(statement)
    await connection.close()


async def _admin(kafka: KafkaServer) -> AIOKafkaAdminClient:
    admin = make_admin(kafka.bootstrap, client_id="test-admin")
    await admin.start()
    return admin


async def _empty_topic(kafka: KafkaServer, name: str) -> None:
    admin = await _admin(kafka)
    await admin.delete_records({TopicPartition(name, each): RecordsToDelete(-1) for each in range(PARTITIONS)})
    await close(admin)


async def _make_again(kafka: KafkaServer, topic: Topic) -> None:
    await _delete_topic(kafka, topic.name)
    await ensure_topics(kafka.bootstrap, [topic], deadline_s=30)


async def _delete_topic(kafka: KafkaServer, name: str) -> None:
    admin = await _admin(kafka)
    await admin.delete_topics([name])

    async def is_gone() -> bool:
        return name not in await admin.list_topics()

    await eventually(is_gone)
    await close(admin)
