"""Requests generated from our own OpenAPI documents, good and bad: every answer is a declared one, and none a 500.

schemathesis drives each service over real sockets and PostgreSQL.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.requests.generated_requests import (
    Answered,
    Supply,
    answers,
    command_supply,
    query_supply,
    successes,
    unexplained,
)
from tests.support.requests.route_matrix import DOCUMENTS, ServiceName, app_of
from tests.support.services.command_service import partner_key
from tests.support.services.servers import Database
from tests.support.services.small_service import listening

LIMIT_S: Final = 300.0
SLOWEST_ANSWER_S: Final = "20"
"""More than a service's own deadline, and a while for a machine that stalls."""
EVENTS: Final = "events.ndjson"
SUCCESSES: Final = 5
"""How many well-formed requests every operation takes at least."""
CONFIGURATION: Final = """
[generation]
allow-x00 = false  # a null character is refused by itself, with a code of its own: refused_requests.py

# Every check there is runs, but two: this one wants two logins in a file of its own form, and every route is asked the
# same by tests/test_route_isolation.py; the other is left out for one address, below. (A check that is named on the
# command line could not be turned off anywhere.)
[checks.object_level_authorization]
enabled = false

# A schema says what is well-formed; these statuses say the rest. Which of them is in order for what reason is judged by
# generated_requests.py, code by code, and that every operation also takes some; 400 and 415 never are.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "404", "409", "412", "422"]

# An ETag that no version can have names another version than the order's: 412, as for every other mismatch.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "406", "409", "412", "415", "422", "428", "5xx"]

[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "404", "428"]  # 428 is what RFC 6585 has for a missing If-Match
"""
OF_COMMAND: Final = """
# A batch is accepted although one of its orders is not: that one is refused in its place, inside a 207. PATCH is in its
# Allow because the address is also that of an order called "batch", which nobody has; the document names no such order.
[[operations]]
include-path = "/api/v1/orders/batch"
[operations.checks.negative_data_rejection]
expected-statuses = ["207", "400", "401", "403", "406", "415", "422"]
[operations.checks.allow_header_conformance]
enabled = false

# Led by what it was answered before, it would find its own key in the list of keys, revoke it, and stand outside.
[[operations]]
include-path-regex = "/api-keys/.+/(rotate|revoke)$"
[operations.phases.stateful]
enabled = false
"""


def operations(service: ServiceName) -> list[str]:
    """Return the ids of a service's operations."""
    return [each["operationId"] for methods in DOCUMENTS[service]["paths"].values() for each in methods.values()]


def configuration(service: str, key: str) -> str:
    """Return the settings of schemathesis for a service."""
    login = f'[auth.openapi.bearer]\nbearer = "{key}"\n'
    return login + CONFIGURATION + (OF_COMMAND if service == "command" else "")


async def generated_requests(port: int, directory: Path, supply: Supply) -> tuple[int | None, str]:
    """Run schemathesis against a service, led to what there is; give its exit code and report."""
    (directory / "supply.json").write_text(json.dumps(supply))
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("run", f"http://127.0.0.1:{port}/openapi.json"),
        *("--max-response-time", SLOWEST_ANSWER_S, "--max-examples", "7", "--seed", "1"),
        *("--suppress-health-check", "too_slow"),
        *("--generation-database", "none", "--no-color", "--report-ndjson-path", directory / EVENTS),
        cwd=directory,
        env=os.environ
        | {
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "SCHEMATHESIS_HOOKS": "tests.support.requests.generated_cases",
            "HARBOR_TEST_SUPPLY": str(directory / "supply.json"),
        },
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


@pytest.mark.timeout(2 * LIMIT_S)
@pytest.mark.parametrize("service", ["command", "query"])
async def test_every_response_is_one_that_the_document_declares(
    database: Database, tmp_path: Path, service: ServiceName
) -> None:
    key = await partner_key(database)
    (tmp_path / "schemathesis.toml").write_text(configuration(service, key))
    supply = await (command_supply(database, key) if service == "command" else query_supply(database))
    async with listening(app_of(service, database)) as port:
        exit_code, report = await generated_requests(port, tmp_path, supply)
    found = list(answers(tmp_path / EVENTS, DOCUMENTS[service]))

    assert exit_code == 0, report
    assert "generated" in report
    assert unexplained(found) == []
    taken = successes(found)
    assert {name: taken[name] for name in operations(service) if taken[name] < SUCCESSES} == {}


def refused(code: str, currency: str = "EUR", operation: str = "create_order") -> Answered:
    problem = {"code": "validation_failed", "errors": [{"code": code, "pointer": "/currency"}]}
    return Answered(operation, is_well_formed=True, status=422, body=problem, sent={"currency": currency})


def test_a_well_formed_request_is_refused_only_for_what_a_schema_cannot_say() -> None:
    assert unexplained([refused("currency_unknown", "QQQ")]) == []
    assert unexplained([refused("too_long")]) == [("create_order", 422, "too_long", {"currency": "EUR"})]
    assert unexplained([refused("currency_unknown", "QQQ", "authorize_order")])


def test_a_refusal_with_an_untrue_code_is_not_explained() -> None:
    assert unexplained([refused("currency_unknown", "EUR")])
