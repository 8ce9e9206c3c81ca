"""The topic compared with the store: every kind of difference is found, counted and located."""

from collections.abc import Sequence
from dataclasses import replace

from aiokafka import ConsumerRecord

from infra.clock import new_id
from infra.event_store.protocol import StoredEvent
from infra.kafka.records import to_record
from infra.partitioning import partition_of
from infra.relay.comparison import Comparison, Difference, compare
from infra.relay.run import Ports
from tests.support.services.projecting import log_of, predecessors, writable_topic
from tests.support.services.relayed_log import RelayedLog
from tests.support.services.relaying import PARTITIONS


def partition(event: StoredEvent) -> int:
    return partition_of(event.stream_id, PARTITIONS)


async def compared(ports: Ports) -> tuple[Comparison, list[int]]:
    """Return the result, and the offsets of the records that were to be kept."""
    comparison, kept = Comparison(), []

    def keep(record: ConsumerRecord) -> None:
        kept.append(record.offset)

    await compare(ports.store, ports.bootstrap_servers, ports.topic, comparison, keep=keep, patience_s=0.1)
    return comparison, kept


def of(partition_: int, events: Sequence[StoredEvent]) -> list[StoredEvent]:
    return [event for event in events if partition(event) == partition_]


async def test_a_topic_that_the_relay_filled_is_whole(log: RelayedLog, ports: Ports) -> None:
    await log.fill(100, "authorize")
    async with log.relay():
        await log.is_published()
        comparison, _ = await compared(ports)
    assert comparison.is_whole
    assert (comparison.events, comparison.records, comparison.repeats, comparison.foreign) == (200, 200, 0, 0)


async def test_repeats_and_records_of_others_are_counted_and_are_no_difference(
    log: RelayedLog, ports: Ports, topic_prefix: str
) -> None:
    await log.fill(20)
    events = await log_of(log.database)
    async with writable_topic(log.kafka, topic_prefix) as topic:
        await topic.relay(events[:15], predecessors(events))
        await topic.put_raw(0, None, b"{}")
        await topic.relay(events[10:], predecessors(events))
    comparison, _ = await compared(ports)
    assert comparison.is_whole
    assert (comparison.repeats, comparison.foreign) == (5, 1)


async def test_each_kind_of_difference_is_found_where_it_is(log: RelayedLog, ports: Ports, topic_prefix: str) -> None:
    await log.fill(40, "authorize")
    events = await log_of(log.database)
    previous = predecessors(events)
    # given a partition without its beginning, one without its end, one with a hole, and one with foul records
    beginning, end, middle, foul = (of(each, events) for each in range(PARTITIONS))
    twin = replace(foul[-1], event_id=new_id())
    changed = to_record(foul[3], 1, previous[foul[3].position])
    async with writable_topic(log.kafka, topic_prefix) as topic:
        await topic.relay(beginning[2:], previous)
        await topic.relay(end[:-3], previous)
        await topic.relay([*middle[:4], *middle[5:]], previous)
        await topic.relay(foul[:3], previous)
        await topic.put(partition(foul[0]), changed._replace(value=b"{}"))
        await topic.relay(foul[4:-1], previous)
        await topic.relay([twin], previous)

    comparison, kept = await compared(ports)

    at = {name: [each.position for each in those] for name, those in (("b", beginning), ("e", end), ("m", middle))}
    assert sorted(comparison.runs, key=lambda run: (run.partition, run.first, run.kind)) == [
        Difference(0, "missing", at["b"][0], at["b"][1], count=2),
        Difference(1, "unsent", at["e"][-3], at["e"][-1], count=3),
        Difference(2, "missing", at["m"][4], at["m"][4]),
        Difference(3, "different", foul[3].position, foul[3].position),
        Difference(3, "unknown", twin.position, twin.position),
        Difference(3, "unsent", twin.position, twin.position),
    ]
    assert comparison.counts == {"missing": 3, "unsent": 4, "different": 1, "unknown": 1}
    assert kept == [len(foul) - 1]


async def test_what_the_store_does_not_hold_is_kept(log: RelayedLog, ports: Ports, topic_prefix: str) -> None:
    await log.fill(10)
    events = await log_of(log.database)
    ahead = [replace(events[-1], position=11 + place, event_id=new_id()) for place in range(3)]
    async with writable_topic(log.kafka, topic_prefix) as topic:
        await topic.relay(events, predecessors(events))
        await topic.relay(ahead)
    comparison, kept = await compared(ports)
    assert comparison.runs == [Difference(partition(events[-1]), "unknown", 11, 13, count=3)]
    assert len(kept) == 3
