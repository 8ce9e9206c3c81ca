"""Projection workers on test servers: run them, feed their topic, and compare their read models with the log."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from infra.clock import new_id
from infra.event_store.log_reads import COLUMNS, stored_event
from infra.event_store.postgres import open_event_store
from infra.event_store.protocol import StoredEvent
from infra.kafka.clients import close, make_group_consumer, make_producer
from infra.kafka.records import Header, Record, to_record
from infra.kafka.topics import Topic, ensure_topics
from infra.local.home import CHECKOUT
from infra.partitioning import partition_of
from infra.postgres.leases import Lease
from infra.postgres.pool import Pool, connect, open_pool
from infra.postgres.wakeup import Wakeup
from infra.settings import KafkaSettings, PostgresSettings, WorkerSettings
from projections import verify
from projections.catalogue import PROJECTIONS
from projections.instance import Instance
from projections.projection import Projection
from projections.run import instance_of
from projections.sources.broker_watch import ASK_EVERY_S
from projections.sources.kafka import KafkaSource
from projections.sources.store import Source, StoreSource
from projections.worker import Worker
from tests.support.services.relaying import PARTITIONS, topic_of
from tests.support.services.servers import Database, KafkaServer
from tests.support.services.system import clean_environment
from tests.support.waiting import eventually

APPLICATION = "worker under test"
_APPLIED = (
    "SELECT projection, sum(applied_count)::bigint AS applied FROM harbor.checkpoints GROUP BY projection, version"
)


def postgres_settings(database: Database) -> PostgresSettings:
    """Return the settings of a worker on this database."""
    return PostgresSettings(url=SecretStr(database.worker_url), pool_max=4)


@dataclass(slots=True)
class RunningWorker:
    """A worker in this process."""

    worker: Worker
    source: Source
    pool: Pool
    stop: asyncio.Event
    task: "asyncio.Task[None]"

    async def stopped(self) -> None:
        """Stop it in good order; raise what it failed with."""
        self.stop.set()
        await self.task


@asynccontextmanager
async def store_worker(
    database: Database,
    projections: Sequence[Projection] = PROJECTIONS,
    *,
    batch: int = 200,
    instance_id: str | None = None,
) -> AsyncIterator[RunningWorker]:
    """Run a worker that tails the event store, while the context is open."""
    settings = postgres_settings(database)
    pool = await open_pool(settings, application_name=APPLICATION)
    wakeup = Wakeup(lambda: connect(settings, application_name=APPLICATION), ["harbor_events"])
    lease = Lease(pool, name="harbor-projections", holder=str(new_id()), ttl_s=2.0)
    async with pool, open_event_store(settings, pool) as store:
        source = StoreSource(store, lease, wakeup, partitions=PARTITIONS, batch=batch, poll_s=0.05)
        instance = instance_of(pool, WorkerSettings(instance_id=instance_id, lease_ttl_s=1.0), KafkaSettings())
        async with _running(pool, source, projections, instance) as running:
            yield running


@asynccontextmanager
async def kafka_worker(
    database: Database,
    kafka: KafkaServer,
    topic_prefix: str,
    projections: Sequence[Projection] = PROJECTIONS,
    *,
    batch: int = 200,
    ask_every_s: float = ASK_EVERY_S,
) -> AsyncIterator[RunningWorker]:
    """Run a worker that reads the topic, while the context is open."""
    pool = await open_pool(postgres_settings(database), application_name=APPLICATION)
    source = KafkaSource(
        kafka.bootstrap,
        topic_of(topic_prefix),
        lambda: make_group_consumer(
            bootstrap_servers=kafka.bootstrap,
            client_id=APPLICATION,
            group_id=f"{topic_prefix}workers",
            session_timeout_ms=6_000,
        ),
        batch=batch,
        ask_every_s=ask_every_s,
    )
    async with pool, _running(pool, source, projections) as running:
        yield running


@asynccontextmanager
async def _running(
    pool: Pool, source: Source, projections: Sequence[Projection], instance: Instance | None = None
) -> AsyncIterator[RunningWorker]:
    worker, stop = Worker(pool, source, projections, instance=instance), asyncio.Event()
    running = RunningWorker(worker, source, pool, stop, asyncio.create_task(worker.run(stop)))
    try:
        yield running
    finally:
        await running.stopped()


async def start_worker_process(database: Database, log: Path, **settings: str) -> Process:
    """Start `python -m projections worker`; the caller ends it."""
    environment = clean_environment() | {
        "HARBOR_POSTGRES__URL": database.worker_url,
        "HARBOR_KAFKA__PARTITIONS": str(PARTITIONS),
    }
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "projections", "worker"),
            cwd=CHECKOUT,
            env=environment | settings,
            stdout=output,
            stderr=output,
        )


class Topics:
    """A topic that the test itself writes: the relay's records, repeats, and whatever else may lie there."""

    def __init__(self, producer: AIOKafkaProducer, topic: Topic) -> None:
        self._producer = producer
        self._topic = topic

    async def relay(self, events: Iterable[StoredEvent], previous: Mapping[int, int] | None = None) -> None:
        """Write events as the relay does; `previous` says which position comes before which in its partition."""
        async with asyncio.timeout(60):
            sent = [
                await self._producer.send(
                    self._topic.name,
                    key=record.key,
                    value=record.value,
                    headers=record.headers,
                    partition=partition_of(event.stream_id, PARTITIONS),
                )
                for event in events
                for record in [to_record(event, 1, (previous or {}).get(event.position, 0))]
            ]
            await asyncio.gather(*sent)

    async def put(self, partition: int, record: Record) -> None:
        """Write a record of the relay."""
        await self.put_raw(partition, record.key, record.value, record.headers)

    async def put_raw(
        self, partition: int, key: bytes | None, value: bytes | None, headers: Sequence[Header] = ()
    ) -> None:
        """Write anything at all."""
        async with asyncio.timeout(60):
            await self._producer.send_and_wait(
                self._topic.name, key=key, value=value, headers=list(headers), partition=partition
            )


@asynccontextmanager
async def writable_topic(kafka: KafkaServer, topic_prefix: str) -> AsyncIterator[Topics]:
    """Create the topic of a test and give a way to write it."""
    topic = topic_of(topic_prefix)
    await ensure_topics(kafka.bootstrap, [topic], deadline_s=20)
    producer = make_producer(kafka.bootstrap, client_id="test-writer")
    await producer.start()
    try:
        yield Topics(producer, topic)
    finally:
        await close(producer)


async def log_of(database: Database) -> list[StoredEvent]:
    """Return the whole log."""
    connection = await asyncpg.connect(database.worker_url)
    try:
        rows = await connection.fetch(f"SELECT {COLUMNS} FROM harbor.events ORDER BY position")
        return [stored_event(row) for row in rows]
    finally:
        await connection.close()


def predecessors(events: Iterable[StoredEvent]) -> dict[int, int]:
    """Return for each position the one before it in its partition, 0 for the first."""
    last: dict[int, int] = {}
    before: dict[int, int] = {}
    for event in events:
        partition = partition_of(event.stream_id, PARTITIONS)
        before[event.position] = last.get(partition, 0)
        last[partition] = event.position
    return before


async def caught_up(database: Database, timeout_s: float = 60.0) -> None:
    """Wait until every projection has counted every event of the log."""

    async def is_caught_up() -> bool:
        rows = await database.fetch(_APPLIED)
        head = (await database.fetch("SELECT coalesce(max(last_position), 0) AS head FROM harbor.batches"))[0]["head"]
        return bool(rows) and all(row["applied"] >= head for row in rows)

    await eventually(is_caught_up, timeout_s, "every projection has applied the whole log")


async def applied_at_least(database: Database, events: int, timeout_s: float = 60.0) -> None:
    """Wait until a projection has counted so many events."""

    async def has_counted() -> bool:
        sql = "SELECT FROM harbor.checkpoints GROUP BY projection, version HAVING sum(applied_count) >= $1"
        return bool(await database.fetch(sql, events))

    await eventually(has_counted, timeout_s, f"{events} events are applied")


async def differences(database: Database) -> list[str]:
    """Return every difference of the read models from a fold of the log, and every miscounted projection."""
    connection = await asyncpg.connect(database.worker_url)
    try:
        found = [
            f"{model.name} {difference.key[0]}#{difference.key[1]}: {difference.what}"
            for model in verify.VERIFIABLE.values()
            async for difference in verify.differences(connection, model, partitions=PARTITIONS, tally=verify.Tally())
        ]
    finally:
        await connection.close()
    head = len(await log_of(database))
    counts = await database.fetch(_APPLIED)
    return found + [
        f"{row['projection']} counted {row['applied']} of {head} events" for row in counts if row["applied"] != head
    ]
