"""`python -m infra.local up` as a whole: an order goes in and comes out, what dies is restarted, nothing remains."""

import asyncio
import json
import os
import re
import shlex
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.services.local_stack import LocalStack, local, local_stack
from tests.support.waiting import eventually

# The stack brings its own servers, so no fixture marks it.
pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
FACTS = {"command_api", "query_api", "postgres", "redis", "kafka", "api_keys", "data_dir", "processes"}
KEYS = {"partner_a", "partner_b", "dashboard", "auditor", "operator"}
PROCESSES = {"postgres", "valkey", "kafka", "command_api", "query_api", "relay", "worker", "webhooks", "expiry"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Start a stack in a home that only its owner can enter."""
    with local_stack(tmp_path_factory.mktemp("stack") / "a home") as stack:
        yield stack


def test_scripts_find_addresses_keys_and_processes(running: LocalStack) -> None:
    facts = running.facts()

    assert facts.keys() >= FACTS
    assert facts["api_keys"].keys() == KEYS
    assert facts["processes"].keys() == PROCESSES
    assert all(psutil.pid_exists(each["pid"]) for each in facts["processes"].values())
    assert stat.S_IMODE((running.home / "stack.json").stat().st_mode) == 0o600


async def test_the_printed_request_creates_an_order_that_the_query_service_shows(running: LocalStack) -> None:
    words = shlex.split(next(line for line in running.printed.splitlines() if "curl -i" in line))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        created = await client.post(words[2], headers=headers, content=words[words.index("-d") + 1])
        assert created.status_code == 201, created.text
        address = created.headers["location"]
        assert address == f"{running.facts()['query_api']}/api/v1/orders/{created.json()['id']}"
        authorization = {"Authorization": headers["Authorization"]}

        async def shown() -> httpx.Response | None:
            response = await client.get(address, headers=authorization)
            return response if response.status_code == 200 else None

        order = await eventually(shown, timeout_s=60)

    assert order is not None
    assert order.json() == created.json()


async def test_a_command_of_the_operator_runs_against_the_stack(running: LocalStack) -> None:
    ran = await asyncio.to_thread(local, running.home, "run", "projections", "verify", "orders")

    assert ran.returncode == 0, ran.stderr
    assert "0 differences" in ran.stdout


async def test_a_key_made_by_the_operator_is_accepted(running: LocalStack) -> None:
    made = await asyncio.to_thread(
        local, running.home, "run", "command_api", "keys", "create", "--partner", "acme", "--mode", "test"
    )
    key = re.search(r"hbr_test_\w+", made.stdout)
    assert key is not None, made.stderr

    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        response = await client.get(
            running.facts()["query_api"] + "/api/v1/orders", headers={"Authorization": f"Bearer {key[0]}"}
        )
    assert response.status_code == 200, response.text


async def test_status_shows_what_runs_where_and_the_test_key(running: LocalStack) -> None:
    facts = running.facts()

    shown = await asyncio.to_thread(local, running.home, "status")

    assert shown.returncode == 0
    expected = [*PROCESSES, facts["command_api"], *facts["ops"].values(), facts["api_keys"]["partner_a"]]
    assert [word for word in expected if word not in shown.stdout] == []
    assert shown.stdout.count("  ready  ") == len(PROCESSES)


@pytest.mark.parametrize("name", ["relay", "kafka", "postgres"])
async def test_a_killed_process_comes_back_and_is_counted(running: LocalStack, name: str) -> None:
    before = running.facts()["processes"][name]

    os.kill(before["pid"], signal.SIGKILL)

    def restarted() -> dict[str, int] | None:
        now: dict[str, int] = running.facts()["processes"][name]
        return now if now["pid"] not in {None, before["pid"]} else None

    after = await eventually(restarted, timeout_s=60)
    assert after is not None
    assert after["restarts"] == before["restarts"] + 1
    assert f"{name} ended (SIGKILL); starting it again" in (running.home / "logs" / "up.log").read_text()


async def test_a_second_start_says_that_it_already_runs(running: LocalStack) -> None:
    again = await asyncio.to_thread(local, running.home, "up")

    assert again.returncode == 0
    assert re.search("already runs in .*make status.*make down", again.stdout)


async def test_a_start_while_it_is_being_stopped_waits_and_loses_nothing(tmp_path: Path) -> None:
    up = ("up", "--broker", "none", "--detach", "--brief")
    first = await asyncio.to_thread(local, tmp_path, *up)
    assert first.returncode == 0, first.stdout + first.stderr
    stopping = asyncio.create_task(asyncio.to_thread(local, tmp_path, "down"))

    def is_stopping() -> bool:
        try:
            return bool(json.loads((tmp_path / "stack.json").read_text())["state"] == "stopping")
        except FileNotFoundError:  # it has just ended
            return True

    await eventually(is_stopping)
    again = await asyncio.to_thread(local, tmp_path, *up)
    await stopping
    processes = json.loads((tmp_path / "stack.json").read_text())["processes"]
    await asyncio.to_thread(local, tmp_path, "down")

    assert again.returncode == 0
    assert "already runs" not in again.stdout
    assert {each["restarts"] for each in processes.values()} == {0}, "none was taken for one of the first start"
