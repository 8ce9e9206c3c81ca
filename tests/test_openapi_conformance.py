"""Requests generated from our own OpenAPI documents, good and bad: every answer is a declared one, and none a 500.

schemathesis drives each service over real sockets and PostgreSQL, on both of uvicorn's parsers.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import pytest

from domain.order.document import render_order
from projections.tables import orders
from tests.support.command_service import partner_key
from tests.support.orders import order_state
from tests.support.query_service import PARTITIONS, ReadModels, order_row
from tests.support.route_matrix import ServiceName, app_of
from tests.support.servers import Database
from tests.support.small_service import listening

LIMIT_S: Final = 120.0
SLOWEST_ANSWER_S: Final = "5"
FAR: Final = 1_000_000
"""Past every position that an example names."""
CONFIGURATION: Final = """
[generation]
allow-x00 = false  # a null character is refused by itself, with a code of its own: tests/support/refused_requests.py

# All checks there are run, but one: it wants two logins in a file of its own form, and every route is asked the same by
# tests/test_route_isolation.py. (A check that is named on the command line could not be turned off anywhere.)
[checks.object_level_authorization]
enabled = false

# A schema says what is well-formed. Whether an order exists, allows the command now, is of the version that was named,
# has so much left, and whether a code of three letters is a currency is said by these statuses; 400 and 415 never are.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "403", "404", "409", "412", "422", "428"]

# An ETag that no version can have names another version than the order's: 412, as for every other mismatch.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "406", "409", "412", "415", "422", "428", "5xx"]

[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "404", "428"]  # 428 is what RFC 6585 has for a missing If-Match
"""
OF_COMMAND: Final = """
# A batch is accepted although one of its orders is not: that one is refused in its place, inside a 207. PATCH is in its
# Allow because the address is also that of an order called "batch", which nobody has.
[[operations]]
include-path = "/api/v1/orders/batch"
[operations.checks.negative_data_rejection]
enabled = false
[operations.checks.allow_header_conformance]
enabled = false

# Led by what it was answered before, it would find its own key in the list of keys, revoke it, and stand outside.
[[operations]]
include-path-regex = "/api-keys/.+/(rotate|revoke)$"
[operations.phases.stateful]
enabled = false
"""


def configuration(service: str, key: str) -> str:
    """Give the settings of schemathesis for a service."""
    login = f'[auth.openapi.bearer]\nbearer = "{key}"\n'
    return login + CONFIGURATION + (OF_COMMAND if service == "command" else "")


async def generated_requests(port: int, directory: Path) -> tuple[int | None, str]:
    """Run schemathesis against a service; give its exit code and report."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("run", f"http://127.0.0.1:{port}/openapi.json"),
        *("--max-response-time", SLOWEST_ANSWER_S, "--max-examples", "10", "--seed", "1"),
        *("--generation-database", "none", "--no-color"),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            report, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, report.decode()


async def make_what_examples_name(database: Database) -> None:
    """Put into the read models the order and the position that the documented examples speak of."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        rows = ReadModels(admin)
        await rows.log_reaches(FAR)
        for partition in range(PARTITIONS):
            await rows.apply(partition, FAR, FAR if partition == 0 else 0)
        row = order_row(order_id=UUID("019a8b5c-0000-7000-8000-000000000000"))
        await rows.add_orders(row)
        await rows.add_events(row, 3)
        await admin.execute(f"UPDATE {orders.fullname} SET document = $1", render_order(order_state("authorize")))
    finally:
        await admin.close()


@pytest.mark.parametrize("parser", ["httptools", "h11"])
@pytest.mark.parametrize("service", ["command", "query"])
async def test_every_answer_is_one_that_the_document_declares(
    database: Database, tmp_path: Path, service: ServiceName, parser: str
) -> None:
    (tmp_path / "schemathesis.toml").write_text(configuration(service, await partner_key(database)))
    if service == "query":
        await make_what_examples_name(database)
    async with listening(app_of(service, database), parser) as port:
        exit_code, report = await generated_requests(port, tmp_path)

    assert exit_code == 0, report
    assert "generated" in report
