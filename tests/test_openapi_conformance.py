"""Requests generated from our own OpenAPI documents, good and bad: every answer is a declared one, and none a 500.

schemathesis drives each service over real sockets and PostgreSQL, on both of uvicorn's parsers.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

import pytest

import command_api.app
import query_api.app
from infra.http.app import ServiceApp
from tests.support.command_service import command_settings, partner_key
from tests.support.query_service import query_settings
from tests.support.servers import Database
from tests.support.small_service import listening

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
)
LIMIT_S: Final = 120.0
CONFIGURATION: Final = """
# An If-Match that no version can have names another version than the order's: 412, as for every other mismatch.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "406", "412", "415", "422", "428", "5xx"]

# A batch is accepted although one of its orders is not: that one is refused in its place, inside a 207.
[[operations]]
include-path = "/api/v1/orders/batch"
[operations.checks.negative_data_rejection]
enabled = false
"""


def app_of(service: str, database: Database) -> ServiceApp:
    if service == "command":
        return command_api.app.create_app(command_settings(database))
    return query_api.app.create_app(query_settings(database))


async def generated_requests(port: int, key: str, directory: Path) -> tuple[int | None, str]:
    """Run schemathesis against a service; give its exit code and report."""
    (directory / "schemathesis.toml").write_text(CONFIGURATION)
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("run", f"http://127.0.0.1:{port}/openapi.json", "--header", f"Authorization: Bearer {key}"),
        *("--checks", ",".join(CHECKS), "--max-examples", "10", "--seed", "1"),
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


@pytest.mark.parametrize("parser", ["httptools", "h11"])
@pytest.mark.parametrize("service", ["command", "query"])
async def test_every_answer_is_one_that_the_document_declares(
    database: Database, tmp_path: Path, service: str, parser: str
) -> None:
    key = await partner_key(database)
    async with listening(app_of(service, database), parser) as port:
        exit_code, report = await generated_requests(port, key, tmp_path)

    assert exit_code == 0, report
    assert "generated" in report
