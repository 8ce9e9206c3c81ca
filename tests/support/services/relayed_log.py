"""A log and its topic on test servers, and what may happen to either."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

import asyncpg
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from infra.kafka.clients import make_producer, started_admin
from infra.kafka.tail import read_offsets
from infra.kafka.topics import Topic, ensure_topics
from tests.support.event_store.log_filler import fill_log
from tests.support.services.relaying import (
    PARTITIONS,
    Arrived,
    RunningRelay,
    running_relay,
    topic_equals_store,
    topic_of,
    topic_records,
)
from tests.support.services.servers import Database, KafkaServer
from tests.support.waiting import eventually


@dataclass(frozen=True, slots=True)
class RelayedLog:
    """A log and its topic; `relay` runs a relay between them, with the options of `running_relay`."""

    database: Database
    kafka: KafkaServer
    topic: Topic
    relay: Callable[..., AbstractAsyncContextManager[RunningRelay]]

    async def fill(self, orders: int, *verbs: str) -> None:
        """Append orders, each with so many events."""
        await fill_log(self.database.command_url, orders, *verbs)

    async def execute(self, statement: str) -> None:
        """Run a statement as the administrator."""
        connection = await asyncpg.connect(self.database.admin_url)
        await connection.execute(statement)
        await connection.close()

    async def is_published(self) -> list[Arrived]:
        """Wait until the topic equals the log; return all that has arrived."""
        return await topic_equals_store(self.database, self.kafka, self.topic.name)

    async def empty_topic(self) -> None:
        """Delete all records."""
        await self.delete_before(dict.fromkeys(range(PARTITIONS), -1))

    async def offsets(self) -> Mapping[int, tuple[int, int]]:
        """Return each partition's first offset and the offset after its last record."""
        return await read_offsets(self.kafka.bootstrap, self.topic.name, deadline_s=30.0)

    async def delete_before(self, offsets: Mapping[int, int]) -> None:
        """Delete the records of some partitions below an offset; -1: all."""
        async with self._admin() as admin:
            await admin.delete_records(
                {TopicPartition(self.topic.name, partition): RecordsToDelete(at) for partition, at in offsets.items()}
            )

    async def cut_tails(self, kept: Mapping[int, int]) -> None:
        """Make the topic again with no more than so many records of each partition, as after a loss of its end."""
        records = await topic_records(self.kafka, self.topic.name)
        await self.make_topic_again()
        producer = make_producer(self.kafka.bootstrap, client_id="test-restore")
        await producer.start()
        for partition, count in kept.items():
            reached = 0
            for each in [each for each in records if each.record.partition == partition][:count]:
                if each.record.previous > reached:
                    break  # already cut elsewhere, and what comes behind a hole would get into what is sent meanwhile
                reached = max(reached, each.record.position)
                key, headers = str(each.record.order_id).encode(), list(each.headers.items())
                await producer.send(self.topic.name, each.value, key, partition=partition, headers=headers)
        await producer.stop()

    async def replace_by_foreign(self, partition: int, offset: int) -> None:
        """Make the topic again as it was, but for one record."""
        records = await topic_records(self.kafka, self.topic.name)
        await self.make_topic_again()
        producer = make_producer(self.kafka.bootstrap, client_id="test-restore")
        await producer.start()
        for each in records:
            place = each.record.partition
            key, headers = str(each.record.order_id).encode(), list(each.headers.items())
            if (place, each.record.offset) == (partition, offset):
                headers = []
            await producer.send(self.topic.name, each.value, key, partition=place, headers=headers)
        await producer.stop()

    async def configure(self, name: str, value: str) -> None:
        """Change one setting of the topic."""
        async with self._admin() as admin:
            settings = dict(self.topic.config) | {name: value}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, self.topic.name, settings)])

    async def delete_topic(self) -> None:
        """Delete the topic and wait until it is gone."""
        async with self._admin() as admin:
            await admin.delete_topics([self.topic.name])

            async def is_gone() -> bool:
                return self.topic.name not in await admin.list_topics()

            await eventually(is_gone)

    async def make_topic_again(self) -> None:
        """Delete the topic and create it again."""
        await self.delete_topic()
        await ensure_topics(self.kafka.bootstrap, [self.topic], deadline_s=30)

    def _admin(self) -> AbstractAsyncContextManager[AIOKafkaAdminClient]:
        return started_admin(self.kafka.bootstrap, client_id="test-admin", deadline_s=60)


def relayed_log(database: Database, kafka: KafkaServer, topic_prefix: str) -> RelayedLog:
    """Return a log without events, and without a topic yet."""
    return RelayedLog(database, kafka, topic_of(topic_prefix), partial(running_relay, database, kafka, topic_prefix))
