"""A relay and its lease: what one must not do that has lost it, and what it must forget when it gets it again."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import asyncpg
import pytest

from infra.event_store.protocol import EventStore, StoredEvent
from infra.postgres.leases import Lease
from infra.relay.relay import Relay, relay_lease
from infra.relay.run import Ports, Run
from tests.support.event_store.log_filler import append_orders
from tests.support.services.relayed_log import RelayedLog
from tests.support.services.relaying import topic_records
from tests.support.waiting import eventually


class GatedStore:
    """An event store whose reads end when the gate is open."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def read_all(self, after_position: int, limit: int) -> Sequence[StoredEvent]:
        self.asked.set()
        await self.gate.wait()
        return await self._store.read_all(after_position, limit)


class Hold:
    """A lease on a clock of the test's own; nobody renews it."""

    def __init__(self, ports: Ports) -> None:
        self._at_s = 0.0
        self.lease = Lease(ports.pool, name="held", holder="test", ttl_s=3.0, clock=lambda: self._at_s)

    def is_lost(self) -> None:
        self._at_s += 3.0


def run_of(ports: Ports, lease: Lease) -> Run:
    return Run(ports, lease, known=None, rewound=frozenset(), attempted={})


async def test_a_batch_that_was_read_under_a_lease_is_not_sent_without_it(log: RelayedLog, ports: Ports) -> None:
    await log.fill(20)
    hold, store = Hold(ports), GatedStore(ports.store)
    await hold.lease.try_acquire()
    publishing = asyncio.create_task(
        run_of(replace(ports, store=cast(EventStore, store)), hold.lease).publish(asyncio.Event(), lambda _plan: None)
    )
    await asyncio.wait_for(store.asked.wait(), 30)
    # when the lease is lost while events are read
    hold.is_lost()
    store.gate.set()
    await publishing
    assert await topic_records(log.kafka, log.topic.name) == []


async def test_nothing_is_deleted_without_a_lease(log: RelayedLog, ports: Ports) -> None:
    await log.fill(100)
    async with log.relay():
        await log.is_published()
    await log.delete_before({0: 1})
    before = await log.offsets()
    hold = Hold(ports)
    await hold.lease.try_acquire()
    hold.is_lost()
    await run_of(ports, hold.lease).publish(asyncio.Event(), lambda _plan: None)
    assert await log.offsets() == before


async def test_a_fault_of_our_own_is_not_taken_for_one_of_the_broker(
    ports: Ports, capsys: pytest.CaptureFixture[str]
) -> None:
    class FaultyStore:
        async def read_all(self, _after_position: int, _limit: int) -> Sequence[StoredEvent]:
            raise LookupError("a fault")

    faulty = replace(ports, store=cast(EventStore, FaultyStore()))
    relay, stop = Relay(faulty, relay_lease(faulty, holder="test")), asyncio.Event()
    relaying = asyncio.create_task(relay.relay(stop))
    await eventually(lambda: relay.waiting_for() == ("unexpected_error",))
    stop.set()
    await relaying
    output = capsys.readouterr().out
    assert output.count("a fault (LookupError)") == output.count("Traceback") == 1


async def test_what_was_known_under_an_earlier_lease_is_forgotten(
    log: RelayedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a relay that knows of three events in one partition
    connection = await asyncpg.connect(log.database.command_url)
    await append_orders(connection, 1, "authorize", "capture")
    await connection.close()
    async with log.relay() as running:
        await eventually(lambda: running.metric("harbor_relay_position") == 3)
        # when another takes its lease, sends more and notes that down
        await log.execute("UPDATE harbor.leases SET holder = 'another', epoch = epoch + 1, renewals = renewals + 1")
        await eventually(lambda: running.relay.state == "standby")
        await log.fill(20)
        async with log.relay(lease_name="another"):
            await log.is_published()
        # then it resumes behind all of that
        capsys.readouterr()
        await eventually(lambda: running.relay.state == "leading")
        assert "after_position=23 " in capsys.readouterr().out
