"""The relay on a real store and a real broker: whatever happens, the topic ends up equal to the store."""

import asyncio

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from infra.kafka.clients import close, make_admin
from infra.kafka.topics import ensure_topics
from tests.support.log_filler import append_orders, fill_log
from tests.support.relaying import (
    PARTITIONS,
    running_relay,
    topic_equals_store,
    topic_of,
    topic_records,
)
from tests.support.servers import Database, KafkaServer
from tests.support.waiting import eventually


async def test_the_first_run_publishes_the_whole_log_in_order_without_a_repeat(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    await fill_log(database.command_url, 300, "authorize", "capture")
    async with running_relay(database, kafka, topic_prefix) as running:
        arrived = await topic_equals_store(database, kafka, topic_of(topic_prefix).name)
    assert len(arrived) == 900
    assert running.metric("harbor_relay_published_events_total") == 900


async def test_an_event_committed_while_the_relay_idles_is_published_at_once(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    async with running_relay(database, kafka, topic_prefix) as running:
        await eventually(lambda: running.relay.state == "leading")
        await fill_log(database.command_url, 1)
        arrived = await topic_equals_store(database, kafka, topic_of(topic_prefix).name)
    assert [each.record.position for each in arrived] == [1]


async def test_a_restart_in_good_order_repeats_nothing(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    for _ in range(3):
        await fill_log(database.command_url, 50, "authorize")
        async with running_relay(database, kafka, topic_prefix):
            arrived = await topic_equals_store(database, kafka, topic_of(topic_prefix).name)
    assert len(arrived) == 300
