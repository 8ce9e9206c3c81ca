"""The relay on a real store and a real broker: whatever happens, the topic ends up equal to the store."""

import asyncio

import asyncpg
import pytest

from infra.kafka.clients import make_producer
from infra.settings import RelaySettings
from tests.support.event_store.log_filler import append_orders
from tests.support.requests.unreadable import put_unreadable
from tests.support.services.relayed_log import RelayedLog
from tests.support.services.relaying import PARTITIONS, topic_records
from tests.support.waiting import eventually


async def test_the_log_is_published_in_order_and_neither_new_events_nor_a_restart_repeat_any(log: RelayedLog) -> None:
    await log.fill(100, "authorize", "capture")
    async with log.relay() as running:
        await log.is_published()
        await log.fill(1)  # while the relay idles
        await eventually(lambda: running.metric("harbor_relay_published_events_total") == 301)
    await log.fill(50, "authorize")
    async with log.relay():
        arrived = await log.is_published()

    assert len(arrived) == 401


async def test_an_idle_partition_does_not_make_a_restart_read_history_again(log: RelayedLog) -> None:
    # given one order, whose partition alone holds events
    connection = await asyncpg.connect(log.database.command_url)
    await append_orders(connection, 1, "authorize", "capture")
    await connection.close()
    async with log.relay():
        await log.is_published()
    # when the relay starts again, then it starts behind them although three partitions are empty
    async with log.relay() as running:
        await eventually(lambda: running.relay.state == "leading")
        assert running.metric("harbor_relay_position") == 3
        await log.fill(1)
        await eventually(lambda: running.metric("harbor_relay_position") == 4)
        assert running.metric("harbor_relay_published_events_total") == 1


async def test_two_relays_at_once_can_only_repeat(log: RelayedLog) -> None:
    await log.fill(100, "authorize")
    async with log.relay(batch=20, lease_name="one") as one, log.relay(batch=30, lease_name="another") as another:
        await eventually(lambda: one.relay.state == another.relay.state == "leading")
        await log.fill(400, "authorize")
        await eventually(lambda: one.metric("harbor_relay_position") == another.metric("harbor_relay_position") == 1000)
        arrived = await log.is_published()
    assert len(arrived) > 1000


async def test_a_standby_takes_over_from_a_silent_leader_and_says_so_in_the_epoch(log: RelayedLog) -> None:
    # given a leader that lives
    await log.execute(
        "INSERT INTO harbor.leases (name, holder, epoch, renewals, renewed_at) "
        f"VALUES ('relay {log.topic.name}', 'silent', 7, 100, clock_timestamp() + interval '1 hour')"
    )
    async with log.relay(lease_ttl_s=1.0) as standby:
        await eventually(lambda: standby.relay.state == "standby")
        assert standby.relay.waiting_for() == ()
        # when it renews its lease for the last time
        await log.execute("UPDATE harbor.leases SET renewals = renewals + 1, renewed_at = clock_timestamp()")
        await eventually(lambda: standby.metric("harbor_relay_leader") == 1)
        await log.fill(1)
        arrived = await log.is_published()
    assert arrived[0].headers["epoch"] == b"8"
    assert RelaySettings().lease_ttl_s <= 3.0, "the promise; tests of leases move the clocks"


async def test_a_topic_emptied_or_deleted_while_nobody_relays_is_filled_again(log: RelayedLog) -> None:
    await log.fill(50, "authorize")
    async with log.relay():
        await log.is_published()

    await log.empty_topic()
    assert await topic_records(log.kafka, log.topic.name) == []
    async with log.relay():
        assert len(await log.is_published()) == 100

    await log.delete_topic()
    async with log.relay():
        await log.is_published()


async def test_a_topic_emptied_under_an_idle_relay_is_filled_again_without_a_new_event(log: RelayedLog) -> None:
    await log.fill(50, "authorize")
    async with log.relay():
        await log.is_published()
        await log.empty_topic()
        await log.is_published()


async def test_a_frozen_broker_does_not_freeze_the_relay_which_says_what_it_waits_for(
    log: RelayedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    # No look at offsets meanwhile: aiokafka leaks a connection that is cut off while it asks for metadata.
    async with log.relay(flush_deadline_s=1.0, offsets_every_s=3600.0) as running:
        await eventually(lambda: running.relay.state == "leading")
        log.kafka.running.pause()
        try:
            await log.fill(50)
            await eventually(lambda: running.relay.state == "waiting")
        finally:
            log.kafka.running.resume()
        await log.is_published()
    output = capsys.readouterr().out
    assert "reason='the broker did not respond within 1 s (BrokerTimeoutError)'" in output
    assert "what_next='Kafka does not serve; the process tries again by itself.'" in output


async def test_every_database_connection_cut_again_and_again_loses_nothing(log: RelayedLog) -> None:
    async with log.relay(batch=50) as running:
        for _ in range(5):
            await log.fill(100, "authorize")
            await log.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'relay under test'"
            )
        await log.is_published()
        await eventually(lambda: running.relay.state == "leading")


async def test_a_topic_made_again_under_a_sending_relay_ends_up_whole_and_in_order(log: RelayedLog) -> None:
    await log.fill(100, "authorize")
    async with log.relay(flush_deadline_s=3.0) as running:
        await log.is_published()
        # when the topic vanishes and is made again while events come in
        filling = asyncio.create_task(log.fill(300, "authorize"))
        await log.make_topic_again()
        await filling
        await log.fill(20)
        await log.is_published()
        await eventually(lambda: running.relay.state == "leading")


async def test_what_landed_behind_nothing_in_a_topic_made_again_is_purged_and_filled_from_the_beginning(
    log: RelayedLog,
) -> None:
    await log.fill(100, "authorize")
    async with log.relay(offsets_every_s=3600.0) as running:
        await log.is_published()
        # given a relay with nothing to send, which does not notice that its topic is another one
        await log.make_topic_again()
        # when it sends again
        await log.fill(20, "authorize")
        # then the hole is found, the partitions are purged and filled from the beginning
        await log.is_published()
        assert running.metric("harbor_relay_errors_total", error="TopicRewoundError") >= 1


async def restore_to(log: RelayedLog, position: int) -> None:
    """Make the store what it was before the events after a position."""
    await log.execute(f"DELETE FROM harbor.events WHERE position > {position}")
    await log.execute(f"UPDATE harbor.batches SET last_position = {position}, count = {position}")


@pytest.mark.parametrize("since", [pytest.param(0, id="as it was"), pytest.param(30, id="with new events")])
async def test_a_topic_ahead_of_the_store_halts_the_relay_with_an_alarm_until_they_agree(
    log: RelayedLog, since: int
) -> None:
    await log.fill(20)
    async with log.relay():
        published = await log.is_published()
    # given a store restored from a copy that knows less, which may have grown past the topic since
    await restore_to(log, 10)
    await log.fill(since)
    async with log.relay() as running:
        await eventually(lambda: running.relay.state == "halted")
        assert running.metric("harbor_relay_halted") == 1
        assert running.relay.waiting_for() == ("topic_ahead_of_store",)
        assert len(await topic_records(log.kafka, log.topic.name)) == len(published)


async def test_a_store_that_goes_back_under_an_idle_relay_halts_it(log: RelayedLog) -> None:
    await log.fill(20)
    async with log.relay() as running:
        await log.is_published()
        await restore_to(log, 10)
        await eventually(lambda: running.relay.state == "halted")
        assert running.relay.waiting_for() == ("topic_ahead_of_store",)


async def test_a_store_that_goes_back_and_overtakes_the_relay_before_it_looks_halts_it(log: RelayedLog) -> None:
    await log.fill(20)
    async with log.relay(offsets_every_s=3600.0) as running:
        await log.is_published()
        # when the store is restored and grows past what was published in one go
        await restore_to(log, 10)
        await log.fill(30)
        await eventually(lambda: running.relay.state == "halted")
        assert running.relay.waiting_for() == ("topic_ahead_of_store",)
        assert len(await topic_records(log.kafka, log.topic.name)) == 20


async def test_records_of_somebody_else_or_unreadable_ones_at_the_end_of_a_partition_are_stepped_over(
    log: RelayedLog,
) -> None:
    await log.fill(20)
    async with log.relay():
        arrived = await log.is_published()
    producer = make_producer(log.kafka.bootstrap, client_id="somebody-else")
    await producer.start()
    for partition in range(PARTITIONS):
        for _ in range(3):
            await producer.send_and_wait(log.topic.name, b"{}", partition=partition)
        await put_unreadable(log.kafka.bootstrap, log.topic.name, partition)
    await producer.stop()
    async with log.relay() as running:
        await eventually(lambda: running.relay.state == "leading")
        await log.fill(1)
        await eventually(lambda: running.metric("harbor_relay_position") == len(arrived) + 1)
    assert running.metric("harbor_relay_published_events_total") == 1
