"""`python -m command_api import` against the service as a process on a socket, also when either of them is killed."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from tests.support.orders.builders import order_body
from tests.support.services.command_process import CHECKOUT, CommandProcess, clean_environment, command_process
from tests.support.services.command_service import partner_key
from tests.support.services.servers import Database
from tests.support.waiting import eventually

MANY = 6000
NOT_AT_ONCE = {"HARBOR_LIMITS__PARTNER_PER_S": "1000", "HARBOR_LIMITS__PARTNER_BURST": "1000"}
"""So that an import of so many takes seconds, and whoever is to disturb it in the middle finds it there."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How an import ended and what it said."""

    status: int
    said: str
    errors: str


@dataclass(frozen=True, slots=True)
class Partner:
    """Somebody with a key, a directory, and the service."""

    database: Database
    service: CommandProcess
    key: str
    directory: Path

    def write(self, *lines: object, name: str = "orders.ndjson") -> Path:
        """Write a file; bytes are lines as they are."""
        path = self.directory / name
        path.write_bytes(b"".join((line if isinstance(line, bytes) else orjson.dumps(line)) + b"\n" for line in lines))
        return path

    async def begin(self, path: Path, *options: str, **environment: str) -> asyncio.subprocess.Process:
        """Start an import."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "command_api", "import", str(path), "--url", self.service.url, *options),
            cwd=CHECKOUT,
            env=clean_environment() | {"HARBOR_API_KEY": self.key} | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def bring_in(self, path: Path, *options: str, **environment: str) -> Ended:
        """Run an import to its end."""
        return await ended(await self.begin(path, *options, **environment))

    async def orders(self) -> int:
        """Return how many orders there are; every one has one event."""
        connection = await asyncpg.connect(self.database.admin_url)
        try:
            events: int = await connection.fetchval("SELECT count(*) FROM harbor.events")
            streams: int = await connection.fetchval("SELECT count(*) FROM harbor.streams WHERE version = 1")
        finally:
            await connection.close()
        assert streams >= events, "every event is the first of its order"
        return events


async def ended(process: asyncio.subprocess.Process) -> Ended:
    said, errors = await process.communicate()
    return Ended(process.returncode or 0, said.decode(), errors.decode())


@pytest.fixture
async def partner(database: Database, tmp_path: Path) -> AsyncIterator[Partner]:
    async with command_process(database, tmp_path) as service:
        yield Partner(database, service, await partner_key(database), tmp_path)


@pytest.fixture
async def slowed(database: Database, tmp_path: Path) -> AsyncIterator[Partner]:
    async with command_process(database, tmp_path, **NOT_AT_ONCE) as service:
        yield Partner(database, service, await partner_key(database), tmp_path)


def many(count: int = MANY) -> list[dict[str, Any]]:
    return [order_body(metadata={"number": str(number)}) for number in range(count)]


async def test_a_file_is_brought_in_and_again_costs_nothing(partner: Partner) -> None:
    path = partner.write(*many(1200), order_body(), order_body(), {"idempotency_key": "k", "order": order_body()})

    first = await partner.bring_in(path)
    again = await partner.bring_in(path, "--batch", "100", "--in-flight", "4")

    assert (first.status, again.status) == (0, 0), first.errors + again.errors
    assert "1,203 created, 0 were there already, 0 refused" in first.said
    assert "0 created, 1,203 were there already, 0 refused" in again.said
    assert await partner.orders() == 1203
    assert not path.with_name("orders.ndjson.refused.ndjson").exists()


async def test_one_wide_line_tells_of_each_batch_and_none_holds_personal_data(partner: Partner) -> None:
    await partner.bring_in(partner.write(*many(2), order_body(currency="eur")))
    path = partner.directory / "command_api.log"
    await eventually(lambda: b'"batch.handled"' in path.read_bytes().rpartition(b"\n")[0])
    await partner.service.kill()

    log = path.read_bytes()
    [line] = [line for line in map(orjson.loads, log.splitlines()) if line["event"] == "batch.handled"]
    counts = ("orders", "created", "replayed", "refused", "unknown")
    assert [line[name] for name in counts] == [3, 2, 0, 1, 0]
    assert (line["status"], line["partner"], line["route"]) == (207, "acme", "/api/v1/orders/batch")
    assert b"buyer@example.com" not in log
    assert partner.key.encode() not in log


async def test_another_run_makes_the_orders_anew(partner: Partner) -> None:
    path = partner.write(*many(3))

    for run in ("may", "june", "june"):
        await partner.bring_in(path, "--run", run)

    assert await partner.orders() == 6


async def test_refused_lines_are_told_and_mended_and_brought_in_alone(partner: Partner) -> None:
    path = partner.write(
        order_body(external_reference="PO-1"),
        b'{"customer_email": }',
        order_body(lines=[{"sku": "a", "quantity": 0, "unit_price": "1.00"}]),
        order_body(external_reference="PO-1", currency="USD"),
        {"idempotency_key": "k", "order": order_body(currency="eur")},
        order_body(),
    )
    refused_path = path.with_name("orders.ndjson.refused.ndjson")

    first = await partner.bring_in(path)
    refused = {line["refused"]["line"]: line for line in map(orjson.loads, refused_path.read_bytes().splitlines())}
    unmended = await partner.bring_in(refused_path, "--refused", str(partner.directory / "again.ndjson"))
    mended = [refused[3], refused[4], refused[5], dict(refused[2])]
    mended[0]["order"]["lines"][0]["quantity"] = 1
    mended[1]["order"]["external_reference"] = "PO-2"
    mended[2]["order"]["currency"] = "EUR"
    mended[3]["text"] = orjson.dumps(order_body(external_reference="PO-3")).decode()
    second = [await partner.bring_in(partner.write(*mended, name="mended.ndjson")) for _ in range(2)]

    assert (first.status, unmended.status) == (1, 1)
    assert "2 created, 0 were there already, 4 refused" in first.said
    assert str(refused_path) in first.said
    assert {number: line["refused"]["code"] for number, line in refused.items()} == {
        2: "malformed_json",
        3: "validation_failed",
        4: "duplicate_external_reference",
        5: "validation_failed",
    }
    assert refused[3]["refused"]["errors"][0]["pointer"] == "/lines/0/quantity"
    assert (refused[5]["idempotency_key"], "idempotency_key" in refused[4]) == ("k", False)
    assert refused[2]["text"] == '{"customer_email": }'
    assert [(each.status, "4 created" in each.said, "4 were there" in each.said) for each in second] == [
        (0, True, False),
        (0, False, True),
    ]
    assert await partner.orders() == 6


async def test_an_older_file_of_refused_lines_is_kept(partner: Partner) -> None:
    path = partner.write(order_body(currency="eur"))
    refused = path.with_name("orders.ndjson.refused.ndjson")
    refused.write_text("half mended")

    await partner.bring_in(path)

    assert refused.with_name("orders.ndjson.refused.ndjson.1").read_text() == "half mended"
    assert orjson.loads(refused.read_bytes())["refused"]["line"] == 1


async def test_a_service_killed_in_the_middle_loses_and_doubles_nothing(slowed: Partner) -> None:
    path = slowed.write(*many())
    process = await slowed.begin(path)
    for reached in (500, 2500):

        async def is_reached(reached: int = reached) -> bool:
            return await slowed.orders() >= reached

        await eventually(is_reached, timeout_s=30.0)
        assert process.returncode is None
        await slowed.service.kill()
        await slowed.service.start()

    first = await ended(process)
    again = await slowed.bring_in(path)

    assert (first.status, again.status) == (0, 0), first.errors + again.errors
    assert await slowed.orders() == MANY
    assert f"0 created, {MANY:,} were there already" in again.said


async def test_an_import_killed_in_the_middle_is_continued_by_the_same_command(slowed: Partner) -> None:
    path = slowed.write(*many())
    process = await slowed.begin(path)

    async def is_halfway() -> bool:
        return await slowed.orders() >= 1000

    await eventually(is_halfway, timeout_s=30.0)
    assert process.returncode is None
    process.kill()
    await process.wait()
    continued = await slowed.bring_in(path)

    assert continued.status == 0
    assert "were there already, 0 refused" in continued.said
    assert await slowed.orders() == MANY


async def test_a_partner_above_its_rate_is_slowed_down_and_not_refused(database: Database, tmp_path: Path) -> None:
    rate = {"HARBOR_LIMITS__PARTNER_PER_S": "500", "HARBOR_LIMITS__PARTNER_BURST": "200"}
    async with command_process(database, tmp_path, **rate) as service:
        partner = Partner(database, service, await partner_key(database), tmp_path)
        path = partner.write(*many(600))

        too_many = await partner.bring_in(path)
        fitting = await partner.bring_in(path, "--batch", "200")

        assert (too_many.status, "above_rate" in too_many.errors, "--batch 200" in too_many.errors) == (2, True, True)
        assert fitting.status == 0, fitting.errors
        assert await partner.orders() == 600


async def test_wrong_usage_and_a_service_that_is_away_end_with_2_and_say_what_to_do(partner: Partner) -> None:
    path = partner.write(order_body())

    missing = await partner.bring_in(path, HARBOR_API_KEY="")
    revoked = await partner.bring_in(path, HARBOR_API_KEY=f"{partner.key[:-1]}{'a' if partner.key[-1] != 'a' else 'b'}")
    no_file = await partner.bring_in(partner.directory / "none.ndjson")
    await partner.service.kill()
    away = await partner.bring_in(path, "--give-up", "0.3")

    assert [each.status for each in (missing, revoked, no_file, away)] == [2, 2, 2, 2]
    assert "HARBOR_API_KEY" in missing.errors
    assert "HARBOR_API_KEY" in revoked.errors
    assert "Run the same command again" in away.errors
    assert partner.key not in away.errors + revoked.errors
