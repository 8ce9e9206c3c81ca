"""`verify`: it finds every kind of difference, and the command says so by its exit status."""

import asyncio

import asyncpg
from click.testing import CliRunner

from projections.__main__ import main
from projections.read_models.create_tables import create_tables
from tests.support.event_store.log_filler import fill_log
from tests.support.services.projecting import caught_up, differences, store_worker
from tests.support.services.relaying import PARTITIONS
from tests.support.services.servers import Database

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
