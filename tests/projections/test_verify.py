"""`verify`: it finds every kind of difference, and the command says so by its exit status."""

import asyncio
import re
from uuid import UUID

import asyncpg
import pytest
from click.testing import CliRunner

from infra.local.home import CHECKOUT
from infra.partitioning import partition_of
from projections.__main__ import main
from projections.read_models.create_tables import create_tables
from tests.support.event_store.log_filler import fill_log
from tests.support.services.projecting import caught_up, differences, kafka_worker, log_of, store_worker, writable_topic
from tests.support.services.relaying import PARTITIONS
from tests.support.services.servers import Database, KafkaServer

GUIDE = CHECKOUT / "docs/guides/operators.md"
PARK = """
INSERT INTO harbor.dead_letters (projection, version, partition, position, tenant_id, order_id, sequence, type,
                                 schema_version, event_id, recorded_at, reason, retry_from, error)
SELECT $1, 1, $4, position, tenant_id, stream_id, version, type, schema_version, event_id, recorded_at, 'poison', $3,
       'ProjectionError: cannot bear it'
FROM harbor.events WHERE stream_id = $2 AND version = $3
"""
TAMPERINGS = (
    ("UPDATE harbor_read.orders_v1 SET status = 'lost' WHERE order_id = $1", ["orders {}#0: differs in status"]),
    ("UPDATE harbor_read.orders_v1 SET document = 'x' WHERE order_id = $1", ["orders {}#0: differs in document"]),
    ("DELETE FROM harbor_read.orders_v1 WHERE order_id = $1", ["orders {}#0: is missing"]),
    (
        "DELETE FROM harbor_read.order_timeline_v1 WHERE order_id = $1 AND sequence = 2",
        ["order_timeline {}#2: is missing"],
    ),
    (
        "UPDATE harbor_read.order_timeline_v1 SET sequence = 9 WHERE order_id = $1 AND sequence = 2",
        ["order_timeline {}#2: is missing", "order_timeline {}#9: is not in the log"],
    ),
    (
        "UPDATE harbor_read.order_timeline_v1 SET changes = '{}' WHERE order_id = $1 AND sequence = 1",
        ["order_timeline {}#1: differs in changes"],
    ),
)


async def test_each_kind_of_difference_is_found_and_located(database: Database) -> None:
    order_ids = await fill_log(database.command_url, len(TAMPERINGS) + 1, "authorize")
    async with store_worker(database):
        await caught_up(database)

    expected = []
    for order_id, (statement, found) in zip(order_ids, TAMPERINGS, strict=False):
        await database.fetch(statement, order_id)
        expected += [each.format(order_id) for each in found]

    assert sorted(await differences(database)) == sorted(expected)


async def test_the_command_succeeds_on_an_exact_read_model_and_fails_on_a_wrong_one(database: Database) -> None:
    await fill_log(database.command_url, 3, "authorize")
    async with store_worker(database):
        await caught_up(database)

    status, output = await run_command(database, "verify", "orders")
    assert (status, "3 rows from 6 events" in output, "0 differences" in output) == (0, True, True)

    await database.fetch("UPDATE harbor_read.orders_v1 SET total_minor = 0")
    status, output = await run_command(database, "verify", "orders")
    assert (status, output.count("differs in total_minor"), "3 differences" in output) == (1, 3, True)


async def test_a_parked_order_is_named_and_not_verified_though_nothing_differs(database: Database) -> None:
    sick, *_ = await fill_log(database.command_url, 3, "authorize")
    async with store_worker(database):
        await caught_up(database)
    await park(database, sick, 2)
    await database.fetch("DELETE FROM harbor_read.order_timeline_v1 WHERE order_id = $1 AND sequence = 2", sick)

    status, output = await run_command(database, "verify", "order_timeline")
    assert (status, "0 differences" in output) == (3, True)
    assert f"{sick} is parked from event #2 on (events parked: 1) and NOT VERIFIED: dead letter 1" in output
    assert "python -m projections dlq show 1" in output

    assert (await run_command(database, "dlq", "retry", "--all"))[0] == 0
    status, output = await run_command(database, "verify", "order_timeline")
    assert (status, "NOT VERIFIED" in output) == (0, False)


async def test_events_that_no_worker_applies_are_counted_as_not_verified(database: Database) -> None:
    await fill_log(database.command_url, 3, "authorize")

    status, output = await run_command(database, "verify", "orders")
    assert (status, "6 events of the last" in output) == (0, True), "a worker may be about to apply them"

    await database.fetch("ALTER TABLE harbor.events DISABLE TRIGGER USER")
    await database.fetch("UPDATE harbor.events SET recorded_at = now() - interval '1 hour'")
    status, output = await run_command(database, "verify", "orders")
    assert (status, "NOT VERIFIED: events that no worker has applied, 6 in all, the first for 36" in output) == (
        3,
        True,
    )


@pytest.mark.parametrize("source", ["store", "kafka"])
async def test_a_read_model_that_differs_is_filled_again_as_the_guide_says_while_a_worker_idles(
    database: Database, kafka: KafkaServer, topic_prefix: str, source: str
) -> None:
    order_ids = await fill_log(database.command_url, 3, "authorize")
    async with writable_topic(kafka, topic_prefix) as topic:
        await topic.relay(await log_of(database))
        async with store_worker(database) if source == "store" else kafka_worker(database, kafka, topic_prefix):
            await caught_up(database)
            await database.fetch("DELETE FROM harbor_read.orders_v1 WHERE order_id = $1", order_ids[0])
            await park(database, order_ids[1], 2, "orders")

            status, output = await run_command(database, "verify", "orders")
            assert (status, 'docs/guides/operators.md says ("Fill a read model again")' in output) == (1, True)

            [script] = re.findall(
                r"### Fill a read model again.*?^```sql\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE
            )
            worker = await asyncpg.connect(database.worker_url)
            try:
                await worker.execute(script)
            finally:
                await worker.close()
            await caught_up(database, timeout_s=20)
            assert (await run_command(database, "verify", "orders"))[0] == 0


async def test_a_list_that_is_cut_off_says_how_many_there_are(database: Database) -> None:
    for order_id in await fill_log(database.command_url, 3):
        await park(database, order_id, 1)

    assert (await run_command(database, "dlq", "list", "--limit", "2"))[1].endswith(
        "3 dead letters, the first 2 shown (--limit)\n"
    )
    assert (await run_command(database, "dlq", "list", "--projection", "orders")) == (
        0,
        "no dead letters: nothing is parked\n",
    )


async def test_a_retry_of_nothing_says_so(database: Database) -> None:
    assert await run_command(database, "dlq", "retry", "--all") == (0, "nothing is parked\n")


async def park(database: Database, order_id: UUID, sequence: int, projection: str = "order_timeline") -> None:
    """Park one event of an order, as a worker would."""
    await database.fetch(PARK, projection, order_id, sequence, partition_of(order_id, PARTITIONS))


async def test_missing_tables_are_created_and_tables_that_exist_are_left_alone(database: Database) -> None:
    await database.fetch("DROP TABLE harbor_read.orders_v1")

    assert await run_command(database, "create-tables") == (0, "created orders_v1\n")
    assert await run_command(database, "create-tables") == (0, "nothing was missing\n")


async def test_of_several_workers_that_start_at_once_one_creates_the_tables(database: Database) -> None:
    await database.fetch("DROP TABLE harbor_read.orders_v1")
    async with asyncpg.create_pool(database.worker_url, min_size=3, max_size=3) as pool:

        async def create() -> list[str]:
            async with pool.acquire() as connection:
                return await create_tables(connection)

        assert sorted(await asyncio.gather(create(), create(), create())) == [[], [], ["orders_v1"]]


async def test_a_command_that_fails_says_what_to_do_next(database: Database) -> None:
    status, output = await run_command(database, "dlq", "show", "17")
    assert (status, output) == (1, "Error: there is no dead letter 17: see `python -m projections dlq list --all`\n")


async def run_command(database: Database, *arguments: str) -> tuple[int, str]:
    """Run `python -m projections ARGUMENTS` in a thread of its own, since a command has its own event loop."""
    settings = {"HARBOR_POSTGRES__URL": database.worker_url, "HARBOR_KAFKA__PARTITIONS": str(PARTITIONS)}
    result = await asyncio.to_thread(CliRunner(env=settings).invoke, main, list(arguments))
    return result.exit_code, result.output
