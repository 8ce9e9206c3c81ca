"""The topics of this project: how they are created, and a check of those that exist. No broker creates them itself."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from infra.kafka.clients import started_admin
from infra.settings import KafkaSettings

MAX_RECORD_BYTES: Final = 4_194_304
"""Largest record the topic takes; the command side refuses bodies far below, so every accepted event fits."""

_CLIENT: Final = "harbor-topics"
_VISIBLE_S: Final = 0.02

_EVENTS_CONFIG: Final[Mapping[str, str]] = {
    "cleanup.policy": "delete",
    # For ever: the topic is a complete copy of the log.
    "retention.ms": "-1",
    "retention.bytes": "-1",
    # Republished history with its original time would be deleted or refused by age; business time is in ce_time.
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(MAX_RECORD_BYTES),
}


class TopicsError(Exception):
    """A topic cannot be made or is not as it must be; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Topic:
    """How one topic must be."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


def events_topic(settings: KafkaSettings) -> Topic:
    """Return the topic of all order events for these settings."""
    return Topic(
        name=settings.events_topic,
        partitions=settings.partitions,
        replication_factor=settings.replication_factor,
        config=_EVENTS_CONFIG,
    )


async def ensure_topics(bootstrap_servers: str, topics: Sequence[Topic], *, deadline_s: float) -> list[str]:
    """Create the missing topics, check all, and return the names of those created. Safe to repeat and to race.

    Raises:
        TopicsError: a topic is not as it must be, or the broker refuses to create it.
        KafkaError: the broker cannot be reached.
        TimeoutError: it did not answer within `deadline_s` seconds.
    """
    async with started_admin(bootstrap_servers, client_id=_CLIENT, deadline_s=deadline_s) as admin:
        existing = await _partition_counts(admin, topics)
        created = [topic for topic in topics if topic.name not in existing]
        await _create(admin, created)
        while len(existing) < len(topics):
            await asyncio.sleep(_VISIBLE_S)  # the creation is confirmed before every broker knows the topic
            existing = await _partition_counts(admin, topics)
        await _check(admin, topics, existing)
        return [topic.name for topic in created]


async def check_topics(bootstrap_servers: str, topics: Sequence[Topic], *, deadline_s: float) -> None:
    """Check the topics without creating any.

    Raises:
        TopicsError: a topic is missing or not as it must be.
        KafkaError: the broker cannot be reached.
        TimeoutError: it did not answer within `deadline_s` seconds.
    """
    async with started_admin(bootstrap_servers, client_id=_CLIENT, deadline_s=deadline_s) as admin:
        existing = await _partition_counts(admin, topics)
        missing = [topic.name for topic in topics if topic.name not in existing]
        if missing:
            raise TopicsError(f"topic {', '.join(missing)} does not exist: run python -m infra.kafka topics")
        await _check(admin, topics, existing)


async def _partition_counts(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> dict[str, int]:
    described = await admin.describe_topics([topic.name for topic in topics])
    counts: dict[str, int] = {}
    for topic in described:
        error = for_code(topic["error_code"])
        if topic["error_code"] == 0:
            counts[topic["topic"]] = len(topic["partitions"])
        elif error is not UnknownTopicOrPartitionError and not error.retriable:
            raise TopicsError(f"topic {topic['topic']} cannot be described: {error.__name__}")
    return counts


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    if not topics:
        return
    response = await admin.create_topics(
        [
            NewTopic(topic.name, topic.partitions, topic.replication_factor, topic_configs=dict(topic.config))
            for topic in topics
        ]
    )
    for name, code, *rest in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            if error.retriable:
                raise error
            detail = rest[0] if rest and rest[0] else error.__name__
            raise TopicsError(f"topic {name} cannot be created: {detail}")


async def _check(admin: AIOKafkaAdminClient, topics: Sequence[Topic], partition_counts: Mapping[str, int]) -> None:
    configs = await _configs(admin, topics)
    problems: list[str] = []
    for topic in topics:
        count = partition_counts[topic.name]
        if count != topic.partitions:
            problems.append(
                f"topic {topic.name} has {count} partitions, HARBOR_KAFKA__PARTITIONS says {topic.partitions}: set it "
                "to what the topic has; a partition count can never be changed, it decides where each order lives"
            )
        for key, expected in topic.config.items():
            actual = configs[topic.name].get(key)
            if actual != expected:
                problems.append(
                    f"topic {topic.name} has {key}={actual}, must be {expected}: "
                    f"kafka-configs.sh --alter --topic {topic.name} --add-config {key}={expected}"
                )
    if problems:
        raise TopicsError("; ".join(problems))


async def _configs(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> dict[str, dict[str, str]]:
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics])
    configs: dict[str, dict[str, str]] = {}
    for response in responses:
        for code, message, _type, name, entries in response.resources:
            if code:
                error = for_code(code)
                raise error if error.retriable else KafkaError(f"{name}: {message or error.__name__}")
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs
