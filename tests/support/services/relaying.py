"""Relays on test servers, and what a topic holds compared with what the store holds."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from infra.clock import new_id
from infra.event_store.postgres import open_event_store
from infra.kafka.clients import close, make_reader
from infra.kafka.records import TopicRecord, from_record
from infra.kafka.tail import partitions_of
from infra.kafka.topics import Topic, events_topic
from infra.postgres.leases import Lease
from infra.postgres.pool import connect, open_pool
from infra.postgres.wakeup import Wakeup
from infra.relay.metrics import RelayMetrics
from infra.relay.relay import Relay, relay_lease
from infra.relay.run import Ports
from infra.settings import KafkaSettings, PostgresSettings, RelaySettings
from tests.support.services.servers import Database, KafkaServer
from tests.support.waiting import eventually

Headers = Mapping[str, bytes]
PARTITIONS = 4


@dataclass(slots=True)
class RunningRelay:
    """A relay in this process, with its metrics."""

    relay: Relay
    registry: CollectorRegistry
    stop: asyncio.Event
    task: "asyncio.Task[None]"

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a metric; 0 when it has none yet."""
        return self.registry.get_sample_value(name, labels) or 0.0

    async def stopped(self) -> None:
        """Stop it in good order."""
        self.stop.set()
        await self.task


def topic_of(topic_prefix: str) -> Topic:
    """Return the events topic of a test: few partitions, so that every one is used."""
    return events_topic(KafkaSettings(topic_prefix=topic_prefix, partitions=PARTITIONS))


@asynccontextmanager
async def relay_ports(
    database: Database,
    kafka: KafkaServer,
    topic_prefix: str,
    *,
    batch: int = 500,
    flush_deadline_s: float = 30.0,
    offsets_every_s: float = 0.5,
    lease_ttl_s: float = 3.0,
) -> AsyncIterator[Ports]:
    """Return what a relay is connected to, while the context is open."""
    postgres = PostgresSettings(url=SecretStr(database.worker_url), pool_max=4)
    pool = await open_pool(postgres, application_name="relay under test")
    async with (
        pool,
        open_event_store(postgres, pool) as store,
        Wakeup(lambda: connect(postgres, application_name="relay under test"), ["harbor_events"]) as wakeup,
    ):
        yield Ports(
            store=store,
            pool=pool,
            wakeup=wakeup,
            bootstrap_servers=kafka.bootstrap,
            topic=topic_of(topic_prefix),
            settings=RelaySettings(batch=batch, flush_deadline_s=flush_deadline_s, lease_ttl_s=lease_ttl_s),
            metrics=RelayMetrics(CollectorRegistry()),
            offsets_every_s=offsets_every_s,
        )


@asynccontextmanager
async def running_relay(
    database: Database,
    kafka: KafkaServer,
    topic_prefix: str,
    *,
    batch: int = 500,
    flush_deadline_s: float = 30.0,
    offsets_every_s: float = 0.5,
    lease_ttl_s: float = 3.0,
    lease_name: str | None = None,
) -> AsyncIterator[RunningRelay]:
    """Run a relay in this process while the context is open.

    With a `lease_name` of its own it leads even while others do: a leader that does not know that it was replaced.
    """
    registry = CollectorRegistry()
    async with relay_ports(
        database,
        kafka,
        topic_prefix,
        batch=batch,
        flush_deadline_s=flush_deadline_s,
        offsets_every_s=offsets_every_s,
        lease_ttl_s=lease_ttl_s,
    ) as opened:
        ports = replace(opened, metrics=RelayMetrics(registry))
        lease = relay_lease(ports, holder=str(new_id()))
        if lease_name is not None:
            lease = Lease(ports.pool, name=lease_name, holder=str(new_id()), ttl_s=lease_ttl_s)
        relay, stop = Relay(ports, lease), asyncio.Event()
        running = RunningRelay(relay, registry, stop, asyncio.create_task(relay.relay(stop)))
        try:
            yield running
        finally:
            await running.stopped()


@dataclass(frozen=True, slots=True)
class Arrived:
    """One record as it lies on the topic."""

    record: TopicRecord
    value: bytes
    headers: Headers


async def topic_records(kafka: KafkaServer, topic: str, *, deadline_s: float = 60.0) -> list[Arrived]:
    """Return everything a topic holds, each partition in order of offset."""
    reader = make_reader(kafka.bootstrap, client_id="test-reader")
    try:
        async with asyncio.timeout(deadline_s):
            await reader.start()
            partitions = await partitions_of(reader, topic)
            reader.assign(partitions)
            ends = await reader.end_offsets(partitions)
            await reader.seek_to_beginning(*partitions)
            arrived: list[Arrived] = []
            while any([await reader.position(each) < ends[each] for each in partitions]):
                for records in (await reader.getmany(timeout_ms=100)).values():
                    arrived += [Arrived(from_record(each), each.value, dict(each.headers)) for each in records]
            return arrived
    finally:
        await close(reader)


def first_sightings(arrived: list[Arrived]) -> list[Arrived]:
    """Return what a consumer keeps if it drops every position not past its partition's last one."""
    last: dict[int, int] = {}
    kept = []
    for each in arrived:
        if each.record.position > last.get(each.record.partition, 0):
            last[each.record.partition] = each.record.position
            kept.append(each)
    return kept


def as_stored(arrived: list[Arrived]) -> list[tuple[int, str, int, bytes]]:
    """Return (position, order id, version, payload) of records, by position."""
    return sorted(
        (each.record.position, str(each.record.order_id), each.record.sequence, each.value) for each in arrived
    )


def find_difference(arrived: list[Arrived], expected: list[tuple[int, str, int, bytes]]) -> str | None:
    """Return how the records of a topic differ from the events of the store, if they do.

    A consumer that drops what it has seen must be left with the events, each naming the one before; a repeat must have
    the same key, value and headers but `epoch`.
    """
    kept = first_sightings(arrived)
    if as_stored(kept) != expected:
        return f"store has {len(expected)} events, a consumer keeps {len(kept)} of {len(arrived)} records"
    seen: dict[int, tuple[bytes, Headers]] = {}
    for each in arrived:
        headers = {name: value for name, value in each.headers.items() if name != "epoch"}
        if seen.setdefault(each.record.position, (each.value, headers)) != (each.value, headers):
            return f"position {each.record.position} was repeated with other bytes"
    last: dict[int, int] = {}
    for each in kept:
        if each.record.previous != last.get(each.record.partition, 0):
            return f"position {each.record.position} names {each.record.previous} as the one before"
        last[each.record.partition] = each.record.position
    return None


async def topic_equals_store(
    database: Database, kafka: KafkaServer, topic: str, *, timeout_s: float = 60.0
) -> list[Arrived]:
    """Wait until the topic holds every event of the store, and nothing else; return its records."""
    rows = await database.fetch(
        "SELECT position, stream_id::text, version, payload FROM harbor.events ORDER BY position"
    )
    expected = [tuple(row) for row in rows]
    arrived: list[Arrived] = []
    difference: str | None = None

    async def is_equal() -> bool:
        nonlocal arrived, difference
        arrived = await topic_records(kafka, topic)
        difference = find_difference(arrived, expected)
        return difference is None

    try:
        if expected:
            await eventually(is_equal, timeout_s)
    except AssertionError:
        raise AssertionError(difference) from None
    return arrived
