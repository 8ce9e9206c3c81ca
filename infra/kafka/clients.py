"""Kafka clients with the settings this project stands on; aiokafka's defaults (`acks=1`, auto-commit) lose data.

aiokafka never gives up on an idempotent batch: `send` and `stop` hang while the broker is away. So every call has a
deadline, and a producer whose state is unknown is not stopped but abandoned (`abandon`).
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.codec import lz4_encode
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from infra.kafka.unreadable import step_over_unreadable

BATCH_BYTES: Final = 262_144
"""Uncompressed bytes of one produce batch; a single larger record still travels, alone."""
REQUEST_TIMEOUT_MS: Final = 10_000
CLOSE_DEADLINE_S: Final = 3.0
_CONSUMING: Final[dict[str, Any]] = {
    "request_timeout_ms": REQUEST_TIMEOUT_MS,
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "isolation_level": "read_committed",
}

# A broker that is away makes aiokafka log every attempt, a vanished topic more than 100,000 lines a minute. Its
# failures reach us as exceptions, which are logged once where they are handled.
_NOISY_LOGGERS: Final = ("aiokafka", "aiokafka.cluster", "aiokafka.conn", "aiokafka.producer.sender")

_LZ4_LEVEL: Final = 1
"""aiokafka compresses at level 9: 84 MB/s measured here, more than everything else the relay does. Level 1: 730 MB/s
for batches 14 % larger. It has no setting for the level."""


class BrokerTimeoutError(TimeoutError):
    """The broker did not respond in time."""


@asynccontextmanager
async def responding_within(deadline_s: float) -> AsyncIterator[asyncio.Timeout]:
    """Limit a block of calls to the broker to `deadline_s` seconds; the limit that is given may be put off.

    Raises:
        BrokerTimeoutError: the time is over.
    """
    try:
        async with asyncio.timeout(deadline_s) as limit:
            yield limit
    except TimeoutError:
        raise BrokerTimeoutError(f"the broker did not respond within {deadline_s:g} s") from None


def make_producer(bootstrap_servers: str, *, client_id: str) -> AIOKafkaProducer:
    """Return an idempotent producer that waits for all replicas; must be made inside a running event loop."""
    _quieten()
    _compress_fast()
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        client_id=client_id,
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        max_batch_size=BATCH_BYTES,
        linger_ms=0,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        metadata_max_age_ms=60_000,
    )


def make_group_consumer(
    *topics: str,
    bootstrap_servers: str,
    client_id: str,
    group_id: str,
    group_instance_id: str | None = None,
    session_timeout_ms: int = 30_000,
) -> AIOKafkaConsumer:
    """Return a consumer of a group. It never commits by itself; its group's offsets are only a hint for lag tools."""
    _quieten()
    step_over_unreadable()
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap_servers,
        client_id=client_id,
        group_id=group_id,
        group_instance_id=group_instance_id,
        partition_assignment_strategy=(StickyPartitionAssignor,),
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=session_timeout_ms // 10,
        # A fetch is answered as soon as one record is there; a longer wait costs no latency and saves an idle broker.
        fetch_max_wait_ms=500,
        # A topic that was deleted and made again is noticed by this look alone; until then nobody reads it.
        metadata_max_age_ms=5_000,
        **_CONSUMING,
    )


def make_reader(bootstrap_servers: str, *, client_id: str) -> AIOKafkaConsumer:
    """Return a consumer without a group: the caller assigns partitions and seeks."""
    _quieten()
    step_over_unreadable()
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        client_id=client_id,
        group_id=None,
        fetch_max_wait_ms=50,
        **_CONSUMING,
    )


def make_admin(bootstrap_servers: str, *, client_id: str) -> AIOKafkaAdminClient:
    """Return a client that creates and describes topics."""
    _quieten()
    return AIOKafkaAdminClient(
        bootstrap_servers=bootstrap_servers, client_id=client_id, request_timeout_ms=REQUEST_TIMEOUT_MS
    )


@asynccontextmanager
async def started_admin(
    bootstrap_servers: str, *, client_id: str, deadline_s: float
) -> AsyncIterator[AIOKafkaAdminClient]:
    """Return an admin client for a block that may take `deadline_s` seconds; it is closed afterwards.

    Raises:
        TimeoutError: the broker did not respond in time.
        KafkaError: it cannot be reached.
    """
    admin = make_admin(bootstrap_servers, client_id=client_id)
    try:
        async with responding_within(deadline_s):
            await admin.start()
            yield admin
    finally:
        await close(admin)


async def close(client: AIOKafkaConsumer | AIOKafkaAdminClient) -> None:
    """Close a consumer or admin client, waiting at most `CLOSE_DEADLINE_S` seconds for the broker."""
    with suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(CLOSE_DEADLINE_S):
            await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())


async def abandon(producer: AIOKafkaProducer) -> None:
    """Close a producer without waiting for what it still has to send; returns within a few seconds.

    `AIOKafkaProducer.stop` flushes first and so hangs as long as the broker is away. Here every batch fails, the
    connections are cut, and the sending task is cancelled. What was under way may still arrive: the outcome is unknown.
    """
    # There is no public way to close without flushing (aiokafka #1101).
    producer._closed = True  # noqa: SLF001  # see above
    accumulator = producer._message_accumulator  # noqa: SLF001  # see above
    sending = producer._sender.sender_task  # noqa: SLF001  # see above
    unsent = [batch for batches in accumulator._batches.values() for batch in batches]  # noqa: SLF001  # see above
    unsent += accumulator._pending_batches  # noqa: SLF001  # see above
    accumulator._closed = True  # noqa: SLF001  # see above
    accumulator.fail_all(KafkaError("abandoned"))
    for future in (each for batch in unsent for each in (batch.future, batch._drain_waiter)):  # noqa: SLF001  # see above
        if future.done() and not future.cancelled():
            future.exception()  # seen: nobody else may be waiting for it
    await _cut_connections(producer)
    if sending is not None:
        sending.cancel()
        await asyncio.wait([sending], timeout=CLOSE_DEADLINE_S)
        await _cut_connections(producer)  # one that the sending task was opening meanwhile


async def _cut_connections(producer: AIOKafkaProducer) -> None:
    with suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(CLOSE_DEADLINE_S):
            await producer.client.close()


def _compress_fast() -> None:
    native = sys.modules[DefaultRecordBatchBuilder.__module__]
    native.lz4_encode = partial(lz4_encode, level=_LZ4_LEVEL)  # type: ignore[attr-defined]  # what `build` looks up


def _quieten() -> None:
    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
