"""A topic cut at random, again and again, while events come in: topic and read models end up equal to the store."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final

import pytest

from tests.support.services.projecting import caught_up, differences, kafka_worker
from tests.support.services.relayed_log import RelayedLog, relayed_log
from tests.support.services.relaying import PARTITIONS, RunningRelay
from tests.support.services.servers import Database, KafkaServer
from tests.support.waiting import eventually

PLACES: Final = ("beginning", "beginning", "all", "end")


async def keep_filling(log: RelayedLog, over: asyncio.Event) -> None:
    """Append orders until it is over."""
    while not over.is_set():
        await log.fill(3, "authorize")


async def cut(log: RelayedLog, random: Random, place: str) -> None:
    """Delete or lose some records of some partitions: from the beginning, all, or at the end."""
    partitions = random.sample(range(PARTITIONS), random.randint(1, PARTITIONS))
    match place:
        case "beginning":
            offsets = await log.offsets()
            await log.delete_before({each: random.randint(*offsets[each]) for each in partitions})
        case "all":
            await log.delete_before(dict.fromkeys(partitions, -1))
        case _:
            await log.cut_tails({each: random.randint(0, 100) for each in partitions})


async def finds_nothing(running: RunningRelay) -> None:
    """Wait until a relay leads, which then has sent nothing."""
    await eventually(lambda: running.relay.state == "leading" and running.relay.waiting_for() == ())
    assert running.metric("harbor_relay_published_events_total") == 0


async def cut_under_a_relay(log: RelayedLog, random: Random, places: Sequence[str]) -> None:
    """Run a relay and cut the topic at each of the places while it leads."""
    batch = random.choice((7, 50, 500))
    async with log.relay(batch=batch, flush_deadline_s=3.0, offsets_every_s=0.2) as running:
        await eventually(lambda: running.relay.state == "leading")
        for place in places:
            await cut(log, random, place)
            await log.fill(random.randint(1, 20))


@pytest.mark.timeout(900)
async def test_a_topic_cut_anywhere_while_events_come_in_ends_up_whole(
    database: Database, kafka: KafkaServer, topic_prefix: str, *, is_full: bool
) -> None:
    log = relayed_log(database, kafka, topic_prefix)
    for seed in range(20 if is_full else 1):
        random, over = Random(seed), asyncio.Event()  # noqa: S311  # no secret
        filling = asyncio.create_task(keep_filling(log, over))
        async with kafka_worker(database, kafka, topic_prefix):
            places = random.sample(PLACES, len(PLACES))
            await cut_under_a_relay(log, random, places[:2])
            await cut_under_a_relay(log, random, places[2:])
            over.set()
            await filling
            async with log.relay():
                await log.is_published()
                await caught_up(database)
        assert await differences(database) == []
        # and the next relay finds nothing to mend
        async with log.relay() as running:
            await finds_nothing(running)
