from dataclasses import replace

import pytest
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError

from infra.kafka.clients import close, make_admin
from infra.kafka.topics import TopicsError, check_topics, ensure_topics, events_topic
from infra.settings import KafkaSettings
from tests.support.services.relaying import topic_of
from tests.support.services.servers import KafkaServer

DEADLINE_S = 15.0


def test_the_events_topic_keeps_everything_for_ever_in_twelve_partitions() -> None:
    topic = events_topic(KafkaSettings())
    assert (topic.name, topic.partitions) == ("orders.events.v1", 12)
    assert topic.config["cleanup.policy"] == "delete"
    assert topic.config["retention.ms"] == topic.config["retention.bytes"] == "-1"
    assert topic.config["message.timestamp.type"] == "LogAppendTime"


async def test_missing_topics_are_created_once_and_pass_the_check(kafka: KafkaServer, topic_prefix: str) -> None:
    topic = topic_of(topic_prefix)
    assert await ensure_topics(kafka.bootstrap, [topic], deadline_s=DEADLINE_S) == [topic.name]
    assert await ensure_topics(kafka.bootstrap, [topic], deadline_s=DEADLINE_S) == []
    await check_topics(kafka.bootstrap, [topic], deadline_s=DEADLINE_S)


async def test_a_check_creates_nothing_and_says_what_to_run(kafka: KafkaServer, topic_prefix: str) -> None:
    for _ in range(2):
        with pytest.raises(TopicsError, match=r"does not exist: run python -m infra\.kafka topics"):
            await check_topics(kafka.bootstrap, [topic_of(topic_prefix)], deadline_s=DEADLINE_S)


async def test_another_partition_count_is_refused_by_name(kafka: KafkaServer, topic_prefix: str) -> None:
    topic = topic_of(topic_prefix)
    await ensure_topics(kafka.bootstrap, [topic], deadline_s=DEADLINE_S)
    with pytest.raises(TopicsError, match="has 4 partitions, HARBOR_KAFKA__PARTITIONS says 5"):
        await ensure_topics(kafka.bootstrap, [replace(topic, partitions=5)], deadline_s=DEADLINE_S)


async def test_every_setting_that_would_lose_events_is_named_with_its_remedy(
    kafka: KafkaServer, topic_prefix: str
) -> None:
    topic = topic_of(topic_prefix)
    admin = make_admin(kafka.bootstrap, client_id="test-admin")
    await admin.start()
    careless = {"cleanup.policy": "compact", "retention.ms": "604800000"}
    await admin.create_topics([NewTopic(topic.name, topic.partitions, 1, topic_configs=careless)])
    await close(admin)
    with pytest.raises(TopicsError) as caught:
        await ensure_topics(kafka.bootstrap, [topic], deadline_s=DEADLINE_S)
    message = str(caught.value)
    assert "cleanup.policy=compact, must be delete" in message
    assert "retention.ms=604800000, must be -1" in message
    assert "message.timestamp.type=CreateTime, must be LogAppendTime" in message
    assert "--add-config retention.ms=-1" in message


async def test_a_topic_the_broker_cannot_make_is_reported_with_its_reason(
    kafka: KafkaServer, topic_prefix: str
) -> None:
    with pytest.raises(TopicsError, match=r"cannot be created: .*replication"):
        await ensure_topics(
            kafka.bootstrap, [replace(topic_of(topic_prefix), replication_factor=3)], deadline_s=DEADLINE_S
        )


async def test_a_broker_that_is_away_is_an_error_of_its_own() -> None:
    with pytest.raises((KafkaError, TimeoutError)):
        await check_topics("127.0.0.1:1", [topic_of("x")], deadline_s=2.0)
