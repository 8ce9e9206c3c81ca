"""`python -m query_api`: starts from its environment, answers over a socket, ends with 0 when asked to."""

import os
from pathlib import Path

import httpx
import orjson
import pytest

from tests.support.services.query_service import ORDERS, PEPPER, query_service
from tests.support.services.servers import Database
from tests.support.services.system import one_process, run_once

pytestmark = pytest.mark.server  # real sockets or processes, and deadlines that take their time
NAME = "query_api"


async def test_the_process_serves_and_ends_with_0_on_sigterm_with_connections_open(
    database: Database, tmp_path: Path
) -> None:
    system, port = one_process(NAME, database.query_url, PEPPER, tmp_path)
    async with (
        query_service(database) as service,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
    ):
        await system.start(NAME)
        try:
            await system.ready(NAME)
            answer = await http.get(ORDERS, headers=await service.key())
            health = await http.get("/health")
        finally:
            statuses = await system.stop()

    lines = [orjson.loads(line) for line in system.log(NAME).splitlines()]
    assert answer.status_code == 200
    assert (health.json()["service"], health.json()["status"]) == (NAME, "ready")
    assert statuses == {NAME: 0}
    assert {line["process"] for line in lines} == {NAME}
    assert [line["status"] for line in lines if line.get("route") == ORDERS] == [200]


async def test_a_missing_setting_stops_the_start_with_one_line_that_names_it() -> None:
    with pytest.raises(RuntimeError, match="HARBOR_POSTGRES__URL") as failed:
        await run_once((NAME,), {"PATH": os.environ["PATH"]})

    assert str(failed.value).count("\n") == 1
