"""Records that vanish from the topic, at any place and while events come in: the relay notices and fills it again."""

import gc

import pytest
from aiokafka import ConsumerRecord

from infra.kafka.tail import read_ends
from tests.support.services.relayed_log import RelayedLog
from tests.support.services.relaying import PARTITIONS, RunningRelay
from tests.support.waiting import eventually


def mended(running: RunningRelay, how: str) -> float:
    return running.metric("harbor_relay_mended_partitions_total", how=how)


async def test_partitions_emptied_and_sent_to_before_the_relay_looks_are_filled_from_the_beginning(
    log: RelayedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    await log.fill(50, "authorize")
    async with log.relay(offsets_every_s=3600.0):
        await log.is_published()
        await log.empty_topic()
        await log.fill(50)
        await eventually(lambda: ends_at(log, 150))
    # when a relay looks again, be it the next one
    async with log.relay() as running:
        await log.is_published()
        assert mended(running, "purged") == PARTITIONS
        # and whichever leads at the time
        await log.empty_topic()
        await log.fill(50)
        await log.is_published()
    output = capsys.readouterr().out
    assert output.count("relay.records_lost") == output.count("these partitions were deleted or lost") >= 2


async def test_a_partition_that_has_lost_some_of_its_first_records_is_filled_from_the_beginning(
    log: RelayedLog,
) -> None:
    await log.fill(50, "authorize")
    async with log.relay() as running:
        await log.is_published()
        await log.delete_before({0: 3, 2: 1})
        await eventually(lambda: mended(running, "purged") == 2)
        await log.is_published()
        await eventually(lambda: running.relay.waiting_for() == ())


async def test_a_relay_that_fills_the_topic_again_is_not_ready_until_it_is_whole(log: RelayedLog) -> None:
    await log.fill(100, "authorize")
    async with log.relay():
        await log.is_published()
    await log.empty_topic()
    async with log.relay(batch=1) as running:
        await eventually(lambda: running.relay.waiting_for() == ("topic_rewound",))
        assert running.metric("harbor_relay_position") < 200
        await eventually(lambda: running.relay.waiting_for() == ())
        assert running.metric("harbor_relay_position") == 200
        await log.is_published()


async def test_filling_a_partition_again_goes_on_where_it_was_interrupted(log: RelayedLog) -> None:
    await log.fill(100, "authorize")
    async with log.relay():
        await log.is_published()
    await log.delete_before(dict.fromkeys(range(PARTITIONS), 5))
    async with log.relay(batch=1) as running:
        await eventually(lambda: running.metric("harbor_relay_position") > 50)
    async with log.relay() as running:
        await log.is_published()
        assert mended(running, "purged") == mended(running, "filled") == 0
        assert running.metric("harbor_relay_published_events_total") < 150


async def test_a_topic_that_may_lose_records_halts_the_relay_which_then_looks_at_each_of_them(log: RelayedLog) -> None:
    await log.fill(100, "authorize")
    async with log.relay() as running:
        await log.is_published()
        # when the topic is to be compacted, then the alarm comes before the compaction
        await log.configure("cleanup.policy", "compact")
        await eventually(lambda: running.relay.waiting_for() == ("topic_unusable",))
    # given a record in the middle that was compacted away, in a partition with the same ends
    await log.replace_by_foreign(partition=1, offset=7)
    await log.configure("cleanup.policy", "compact")
    async with log.relay() as running:
        await eventually(lambda: running.relay.waiting_for() == ("topic_unusable",))
        await log.configure("cleanup.policy", "delete")
        await eventually(lambda: mended(running, "purged") == 1)
        await log.is_published()


async def test_a_relay_that_was_not_there_when_the_settings_were_mended_looks_at_each_record_too(
    log: RelayedLog,
) -> None:
    await log.fill(100, "authorize")
    async with log.relay() as running:
        await log.is_published()
        await log.configure("cleanup.policy", "compact")
        await eventually(lambda: running.relay.waiting_for() == ("topic_unusable",))
    # given a record that was compacted away, and a topic that was mended before the next relay saw it
    await log.replace_by_foreign(partition=1, offset=7)
    async with log.relay() as running:
        await eventually(lambda: mended(running, "purged") == 1)
        await log.is_published()
    # when all of it was looked at, then the next relay need not do so again
    async with log.relay() as running:
        await eventually(lambda: running.relay.state == "leading")
        assert mended(running, "purged") == 0


async def test_records_compacted_away_while_no_relay_looked_are_found_by_a_sample(log: RelayedLog) -> None:
    await log.fill(100, "authorize")
    async with log.relay():
        await log.is_published()
    await log.replace_by_foreign(partition=1, offset=7)
    async with log.relay() as running:
        await eventually(lambda: mended(running, "purged") == 1)
        await log.is_published()


async def test_looking_for_the_ends_again_and_again_keeps_nothing_of_what_was_read(log: RelayedLog) -> None:
    await log.fill(800, "authorize")  # more than one look takes
    async with log.relay():
        await log.is_published()
    gc.collect()
    gc.disable()  # the relay collects garbage rarely
    try:
        for _ in range(3):
            await read_ends(log.kafka.bootstrap, log.topic.name, deadline_s=30.0)
        kept = [each for each in gc.get_objects() if type(each) is ConsumerRecord]
    finally:
        gc.enable()
    assert len(kept) == 0


async def ends_at(log: RelayedLog, records: int) -> bool:
    """Whether so many records were ever sent to the topic."""
    return sum(end for _begin, end in (await log.offsets()).values()) >= records
