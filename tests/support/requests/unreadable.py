"""A record that Kafka takes and aiokafka cannot read: one of its header names is not UTF-8."""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

BATCH_BYTES = 10_000


class _NotUtf8(str):
    """A header name that becomes other bytes on the wire than its text."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return two bytes that no UTF-8 text holds."""
        del encoding, errors
        return b"\xff\xfe"


async def put_unreadable(bootstrap_servers: str, topic: str, partition: int) -> None:
    """Write a batch of one such record."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    async with asyncio.timeout(60):
        await producer.start()
        try:
            batch = producer.create_batch()
            batch._builder = _DefaultRecordBatchBuilderPy(  # the public one cannot write it
                magic=2,
                compression_type=0,
                is_transactional=False,
                producer_id=-1,
                producer_epoch=-1,
                base_sequence=-1,
                batch_size=BATCH_BYTES,
            )
            batch.append(timestamp=None, key=b"key", value=b"value", headers=[(_NotUtf8("name"), b"x")])
            batch.close()
            await (await producer.send_batch(batch, topic, partition=partition))
        finally:
            await producer.stop()
