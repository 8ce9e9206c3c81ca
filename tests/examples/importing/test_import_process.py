"""`harbor-orders import` against the service as a process on a socket, also when either of them is killed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from infra.security.api_keys import generate
from tests.support.orders.builders import order_body
from tests.support.services.command_processes import CommandProcess, command_process
from tests.support.services.harbor_clients import CLIENT
from tests.support.services.servers import PostgresCluster
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
MANY = 800
RATE = {"HARBOR_LIMITS__PARTNER_PER_S": "200", "HARBOR_LIMITS__PARTNER_BURST": "300"}
"""Each partner's own: an import of `MANY` takes seconds, so it can be disturbed in the middle."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How an import ended and what it printed."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner with a key and a directory of its own."""

    partner_id: str
    key: str
    service: CommandProcess
    directory: Path

    def write(self, *lines: object, name: str = "orders.ndjson") -> Path:
        """Write a file; bytes are lines as they are."""
        path = self.directory / name
        path.write_bytes(b"".join((line if isinstance(line, bytes) else orjson.dumps(line)) + b"\n" for line in lines))
        return path

    async def start(self, path: Path, *options: str) -> asyncio.subprocess.Process:
        """Start an import."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "harbor_orders_client", "import", str(path)),
            *("--url", self.service.url, *options),
            cwd=CLIENT,
            env=os.environ | {"HARBOR_API_KEY": self.key},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, path: Path, *options: str) -> Ended:
        """Run an import to its end."""
        return await ended(await self.start(path, *options))

    async def orders(self) -> int:
        """Return how many orders the partner has."""
        return await self.service.orders_of(self.partner_id)

    async def has_orders(self, count: int) -> None:
        """Return once the partner has so many orders."""

        async def are_there() -> bool:
            return await self.orders() >= count

        await eventually(are_there)


async def ended(process: asyncio.subprocess.Process) -> Ended:
    output, errors = await process.communicate()
    return Ended(process.returncode or 0, output.decode(), errors.decode())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    postgres_cluster: PostgresCluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CommandProcess]:
    database = await postgres_cluster.create_database()
    async with command_process(database, tmp_path_factory.mktemp("service"), **RATE) as process:
        yield process
    await postgres_cluster.drop_database(database.name)


@pytest_asyncio.fixture(loop_scope="module")
async def partner(service: CommandProcess, tmp_path: Path) -> Partner:
    return Partner(*await service.partner(), service, tmp_path)


def many(count: int = MANY) -> list[dict[str, Any]]:
    return [order_body(metadata={"number": str(number)}) for number in range(count)]


async def test_a_file_is_imported_once_and_importing_it_again_changes_nothing(partner: Partner) -> None:
    path = partner.write(*many(200), order_body(), order_body(), {"idempotency_key": "k", "order": order_body()})

    first = await partner.run(path)
    again = await partner.run(path, "--batch", "50", "--in-flight", "4")
    another_run = await partner.run(path, "--run", "june")

    assert [each.status for each in (first, again, another_run)] == [0, 0, 0], first.errors + again.errors
    assert "203 created, 0 were there already, 0 refused" in first.output
    assert "0 created, 203 were there already, 0 refused" in again.output
    assert "202 created, 1 were there already, 0 refused" in another_run.output  # that line has a key of its own
    assert await partner.orders() == 405
    assert not path.with_name("orders.ndjson.refused.ndjson").exists()


async def test_one_wide_line_is_logged_for_each_batch_and_holds_no_personal_data(partner: Partner) -> None:
    await partner.run(partner.write(*many(2), order_body(currency="eur")))

    def logged() -> list[dict[str, Any]]:
        complete = partner.service.log.read_bytes().rpartition(b"\n")[0].splitlines()
        return [line for line in map(orjson.loads, complete) if line.get("partner") == partner.partner_id]

    await eventually(logged)

    [line] = logged()
    counts = ("orders", "created", "replayed", "refused", "unknown")
    assert [line[name] for name in counts] == [3, 2, 0, 1, 0]
    assert (line["event"], line["status"], line["route"]) == ("batch.handled", 207, "/api/v1/orders/batch")
    assert b"buyer@example.com" not in partner.service.log.read_bytes()
    assert partner.key.encode() not in partner.service.log.read_bytes()


async def test_refused_lines_are_written_to_a_file_that_is_corrected_and_imported_alone(partner: Partner) -> None:
    path = partner.write(
        order_body(external_reference="PO-1"),
        b'{"customer_email": }',
        order_body(lines=[{"sku": "a", "quantity": 0, "unit_price": "1.00"}]),
        order_body(external_reference="PO-1", currency="USD"),
        {"idempotency_key": "k", "order": order_body(currency="eur")},
        order_body(),
        order_body(metadata={f"key{number}": "x" for number in range(300)}),  # the service refuses a batch with it
    )
    refused_path = path.with_name("orders.ndjson.refused.ndjson")

    first = await partner.run(path)
    refused = {line["refused"]["line"]: line for line in map(orjson.loads, refused_path.read_bytes().splitlines())}
    uncorrected = await partner.run(refused_path, "--refused", str(partner.directory / "again.ndjson"))
    corrected = [refused[3], refused[4], refused[5], dict(refused[2])]
    corrected[0]["order"]["lines"][0]["quantity"] = 1
    corrected[1]["order"]["external_reference"] = "PO-2"
    corrected[2]["order"]["currency"] = "EUR"
    corrected[3]["text"] = orjson.dumps(order_body(external_reference="PO-3")).decode()
    second = [await partner.run(partner.write(*corrected, name="corrected.ndjson")) for _ in range(2)]

    assert (first.status, uncorrected.status) == (1, 1)
    assert "2 created, 0 were there already, 5 refused" in first.output
    assert f"refused lines: {refused_path}\n" in first.output
    assert {number: line["refused"]["code"] for number, line in refused.items()} == {
        2: "malformed_json",
        3: "validation_failed",
        4: "duplicate_external_reference",
        5: "validation_failed",
        7: "json_too_complex",
    }
    assert refused[3]["refused"]["errors"][0]["pointer"] == "/lines/0/quantity"
    assert {number for number, line in refused.items() if "existing_order_id" in line["refused"]} == {4}
    assert (refused[5]["idempotency_key"], "idempotency_key" in refused[4]) == ("k", False)
    assert refused[2]["text"] == '{"customer_email": }'
    assert [(each.status, "4 created" in each.output, "4 were there" in each.output) for each in second] == [
        (0, True, False),
        (0, False, True),
    ]
    assert await partner.orders() == 6


async def test_refused_lines_are_in_the_order_of_the_file_however_many_batches_are_sent_at_once(
    partner: Partner,
) -> None:
    bad = order_body(currency="eur")
    lines: list[object] = [
        each for number in range(25) for each in (order_body(metadata={"n": str(number)}), bad, b"{")
    ]
    path = partner.write(*lines)

    await partner.run(path, "--batch", "3", "--in-flight", "16")

    refused = path.with_name("orders.ndjson.refused.ndjson").read_bytes().splitlines()
    numbers = [orjson.loads(line)["refused"]["line"] for line in refused]
    assert numbers == [number for number in range(1, 76) if number % 3 != 1]


async def test_a_service_killed_in_the_middle_loses_and_doubles_nothing(partner: Partner) -> None:
    path = partner.write(*many())
    process = await partner.start(path, "--batch", "100")
    await partner.has_orders(150)
    assert process.returncode is None
    await partner.service.kill()
    await partner.service.start()
    first = await ended(process)

    assert first.status == 0, first.errors
    assert "broke off the connection" in first.errors or "cannot reach" in first.errors
    assert await partner.orders() == MANY


async def test_an_import_killed_in_the_middle_is_continued_by_the_same_command(partner: Partner) -> None:
    path = partner.write(*many())
    process = await partner.start(path, "--batch", "100")
    await partner.has_orders(150)
    assert process.returncode is None
    process.kill()
    await process.wait()

    continued = await partner.run(path)

    assert continued.status == 0
    assert "were there already, 0 refused" in continued.output
    assert await partner.orders() == MANY


async def test_a_batch_above_the_rate_is_cut_to_what_the_rate_allows_and_none_is_refused(partner: Partner) -> None:
    """`MANY` at 500 a batch is more than the burst of `RATE` ever allows at once."""
    imported = await partner.run(partner.write(*many(500)))

    assert imported.status == 0, imported.errors
    assert "500 created, 0 were there already, 0 refused" in imported.output


async def test_a_key_that_is_not_valid_stops_it_and_is_not_shown(partner: Partner) -> None:
    wrong = replace(partner, key=generate(livemode=False).text)

    refused = await wrong.run(wrong.write(order_body()))

    assert refused.status == 2
    assert "Check HARBOR_API_KEY. Run the same command again" in refused.errors
    assert wrong.key not in refused.errors + refused.output
