"""Composition of the worker process: settings -> pool -> source -> worker."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from infra.background import run_in_background
from infra.clock import new_id
from infra.event_store.postgres import open_event_store
from infra.kafka.clients import make_group_consumer
from infra.kafka.topics import events_topic
from infra.observability.health import NotReadyReason
from infra.observability.ops_server import OpsServer
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.leases import Lease
from infra.postgres.pool import Pool, connect, open_pool
from infra.postgres.wakeup import Wakeup
from infra.settings import KafkaSettings, OpsSettings, PostgresSettings, SettingsError, WorkerSettings, load
from projections.catalogue import PROJECTIONS
from projections.instance import Instance
from projections.sources.kafka import KafkaSource
from projections.sources.store import Source, StoreSource
from projections.standing import StandingWatch
from projections.worker import Worker

_APPLICATION: Final = "harbor-projections"


async def main(stop: asyncio.Event) -> None:
    """Apply projections until `stop` is set; `python -m projections worker`.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    postgres, kafka, settings = load(PostgresSettings), load(KafkaSettings), load(WorkerSettings)
    brokers = brokers_of(settings, kafka)
    worker: Worker | None = None
    standing: StandingWatch | None = None

    async def ready() -> Sequence[NotReadyReason]:
        if worker is None or standing is None:
            return await database.check() or ("starting",)
        return await database.check() or worker.waiting_for() or standing.waiting_for()

    database = DeferredPool(lambda: open_pool(postgres, application_name=_APPLICATION))
    async with OpsServer(load(OpsSettings), ready), database:
        pool = await database.opened_before(stop)
        if pool is None:
            return
        async with _source(pool, postgres, kafka, settings, brokers) as source:
            worker = Worker(
                pool,
                source,
                PROJECTIONS,
                max_poison_orders=settings.max_poison_orders,
                instance=instance_of(pool, settings, kafka),
            )
            standing = StandingWatch(pool, kafka.partitions, [each.name for each in PROJECTIONS])
            async with run_in_background(standing.run, "standing"):
                await worker.run(stop)


def instance_of(pool: Pool, settings: WorkerSettings, kafka: KafkaSettings) -> Instance | None:
    """Return the hold on this worker's name among all workers of its group; None without a name."""
    if settings.instance_id is None:
        return None
    name = f"worker {kafka.topic_prefix}{settings.group_id} {settings.instance_id}"
    # Two containers may have the same process ids and host names.
    holder = f"process {os.getpid()} on {socket.gethostname()} ({new_id()})"
    return Instance(settings.instance_id, Lease(pool, name=name, holder=holder, ttl_s=settings.lease_ttl_s))


def brokers_of(settings: WorkerSettings, kafka: KafkaSettings) -> str | None:
    """Return the brokers to read from, or None when the event store is the source; pure.

    Raises:
        SettingsError: Kafka is asked for and no broker is named.
    """
    if settings.source == "store":
        return None
    if settings.source == "kafka" and not kafka.bootstrap_servers:
        raise SettingsError(
            "HARBOR_WORKER__SOURCE is kafka, but HARBOR_KAFKA__BOOTSTRAP_SERVERS is empty; see docs/settings.md"
        )
    return kafka.bootstrap_servers or None


@asynccontextmanager
async def _source(
    pool: Pool, postgres: PostgresSettings, kafka: KafkaSettings, settings: WorkerSettings, brokers: str | None
) -> AsyncIterator[Source]:
    if brokers is not None:
        yield KafkaSource(
            brokers,
            events_topic(kafka),
            lambda: make_group_consumer(
                bootstrap_servers=brokers,
                client_id=_APPLICATION,
                group_id=f"{kafka.topic_prefix}{settings.group_id}",
                group_instance_id=settings.instance_id,
                session_timeout_ms=int(settings.session_timeout_s * 1000),
            ),
            batch=settings.batch,
        )
        return
    lease = Lease(pool, name=_APPLICATION, holder=f"{socket.gethostname()} {new_id()}", ttl_s=settings.lease_ttl_s)
    wakeup = Wakeup(lambda: connect(postgres, application_name=f"{_APPLICATION}-wakeup"), ["harbor_events"])
    async with open_event_store(postgres, pool) as store:
        yield StoreSource(
            store, lease, wakeup, partitions=kafka.partitions, batch=settings.batch, poll_s=settings.poll_s
        )
