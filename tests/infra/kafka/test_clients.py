import asyncio

import pytest
from aiokafka.codec import lz4_encode
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from infra.kafka.clients import abandon, make_group_consumer, make_producer
from infra.kafka.topics import ensure_topics
from tests.support.services.relaying import topic_of
from tests.support.services.servers import KafkaServer

NOWHERE = "127.0.0.1:1"
UNCOMPRESSED, LZ4 = 0, 3
BATCH_HEADER_BYTES = 61


def built(compression_type: int) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression_type,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=0,
        batch_size=1_000_000,
    )
    for number in range(2000):
        builder.append(number, 1, b"key", b"%d:order.created;%d" % (number, number**3), [])
    return bytes(builder.build())


async def test_a_producer_is_idempotent_waits_for_all_replicas_and_compresses_at_level_1() -> None:
    producer = make_producer(NOWHERE, client_id="test")
    try:
        records = built(UNCOMPRESSED)[BATCH_HEADER_BYTES:]
        assert built(LZ4)[BATCH_HEADER_BYTES:] == lz4_encode(records, level=1) != lz4_encode(records, level=9)
        assert producer._txn_manager is not None
        assert producer._sender._acks == -1
    finally:
        await abandon(producer)


async def test_a_consumer_commits_nothing_by_itself_and_starts_at_the_beginning() -> None:
    consumer = make_group_consumer("t", bootstrap_servers=NOWHERE, client_id="test", group_id="g")
    assert not consumer._enable_auto_commit
    assert consumer._auto_offset_reset == "earliest"
    assert consumer._isolation_level == "read_committed"
    await consumer.stop()


async def test_a_producer_whose_broker_stopped_responding_under_a_batch_is_abandoned_within_seconds(
    kafka: KafkaServer, topic_prefix: str
) -> None:
    topic = topic_of(topic_prefix)
    await ensure_topics(kafka.bootstrap, [topic], deadline_s=15)
    producer = make_producer(kafka.bootstrap, client_id="test")
    await producer.start()
    await producer.send_and_wait(topic.name, b"{}", partition=0)
    kafka.running.pause()
    try:
        future = await producer.send(topic.name, b"{}", partition=0)
        async with asyncio.timeout(60):  # what does not abandon waits for a broker that does not come
            await abandon(producer)
        with pytest.raises(Exception, match="abandoned"):
            await future
    finally:
        kafka.running.resume()
