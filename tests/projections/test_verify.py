"""`verify`: it finds every kind of difference, and the command says so by its exit status."""

import asyncio
import os
import sys

import asyncpg
import pytest

from tests.support.event_store.log_filler import fill_log
from tests.support.services.projecting import CHECKOUT, PARTITIONS, caught_up, differences, store_worker
from tests.support.services.servers import Database

TAMPERINGS = {
    "UPDATE harbor_read.orders_v1 SET status = 'lost' WHERE order_id = $1": "orders {order}#0: differs in status",
    "UPDATE harbor_read.orders_v1 SET document = 'x' WHERE order_id = $1": "orders {order}#0: differs in document",
    "DELETE FROM harbor_read.orders_v1 WHERE order_id = $1": "orders {order}#0: is missing",
    "DELETE FROM harbor_read.order_timeline_v1 WHERE order_id = $1 AND sequence = 2": (
        "order_timeline {order}#2: is missing"
    ),
    "UPDATE harbor_read.order_timeline_v1 SET sequence = 9 WHERE order_id = $1 AND sequence = 2": (
        "order_timeline {order}#2: is missing; order_timeline {order}#9: is not in the log"
    ),
    "UPDATE harbor_read.order_timeline_v1 SET changes = '{}' WHERE order_id = $1 AND sequence = 1": (
        "order_timeline {order}#1: differs in changes"
    ),
}


@pytest.mark.parametrize("statement", TAMPERINGS)
async def test_each_kind_of_difference_is_found_and_located(database: Database, statement: str) -> None:
    order_id, *_ = await fill_log(database.command_url, 3, "authorize")
    async with store_worker(database):
        await caught_up(database)
    connection = await asyncpg.connect(database.admin_url)
    await connection.execute(statement, order_id)
    await connection.close()

    assert "; ".join(await differences(database)) == TAMPERINGS[statement].format(order=order_id)


async def test_the_command_succeeds_on_an_exact_read_model_and_fails_on_a_wrong_one(database: Database) -> None:
    await fill_log(database.command_url, 3, "authorize")
    async with store_worker(database):
        await caught_up(database)

    status, output = await run_command(database, "verify", "orders")
    assert (status, "3 rows from 6 events" in output, "0 differences" in output) == (0, True, True)

    connection = await asyncpg.connect(database.admin_url)
    await connection.execute("UPDATE harbor_read.orders_v1 SET total_minor = 0")
    await connection.close()
    status, output = await run_command(database, "verify", "orders")
    assert (status, output.count("differs in total_minor"), "3 differences" in output) == (1, 3, True)


async def test_tables_that_exist_are_left_alone(database: Database) -> None:
    assert await run_command(database, "create-tables") == (0, "nothing was missing\n")


async def test_missing_tables_are_created_by_whoever_comes_first(database: Database) -> None:
    connection = await asyncpg.connect(database.admin_url)
    await connection.execute("DROP TABLE harbor_read.orders_v1")
    await connection.close()

    outputs = await asyncio.gather(*(run_command(database, "create-tables") for _ in range(3)))
    assert sorted(outputs) == [(0, "created orders_v1\n"), (0, "nothing was missing\n"), (0, "nothing was missing\n")]


async def test_a_command_that_fails_says_what_to_do_next(database: Database) -> None:
    status, output = await run_command(database, "dlq", "show", "17")
    assert (status, output) == (1, "Error: there is no dead letter 17: see `python -m projections dlq list --all`\n")


async def run_command(database: Database, *arguments: str) -> tuple[int | None, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HARBOR_")}
    environment |= {"HARBOR_POSTGRES__URL": database.worker_url, "HARBOR_KAFKA__PARTITIONS": str(PARTITIONS)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "projections", *arguments),
        cwd=CHECKOUT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()
