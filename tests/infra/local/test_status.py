"""`python -m infra.local status` says where each process answers and whether it does its work."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from infra.local.home import Home
from infra.local.status import status
from infra.observability.health import MEANINGS
from tests.support.services.ports import free_port

READY = (200, b'{"status":"ready","waiting_for":[]}')
WAITING = (503, b'{"status":"waiting","waiting_for":["starting","broker_unreachable"]}')
OTHER = (404, b"<html>")


@asynccontextmanager
async def processes(home: Path, **answers: tuple[int, bytes] | None) -> AsyncIterator[dict[str, str]]:
    """Return the addresses of processes that answer so once all of them were asked; None: never."""
    asked = asyncio.Barrier(len(answers))

    async def serve(name: str) -> asyncio.Server:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /readyz ")
            await asked.wait()
            if given := answers[name]:
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (given[0], len(given[1]), given[1]))
            else:
                await reader.read()  # until whoever asked gives up
            writer.close()

        return await asyncio.start_server(answer, "127.0.0.1", 0)

    servers = {name: await serve(name) for name in answers}
    at = {name: f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for name, server in servers.items()}
    try:
        stand_in(home, at)
        yield at
    finally:
        for server in servers.values():
            server.close()


def stand_in(home: Path, at: dict[str, str]) -> None:
    """Write down a stack of these processes and a PostgreSQL of which nothing is there."""
    names = [*at, "postgres"]
    facts = {
        "command_api": at["command_api"],
        "query_api": at["query_api"],
        "postgres": f"postgresql://postgres:secret@127.0.0.1:{free_port()}/harbor",
        "redis": "redis://127.0.0.1:1/0",
        "kafka": None,
        "data_dir": str(home),
        "api_keys": {"partner_a": "hbr_test_a"},
        "processes": {name: {"pid": None, "restarts": 0} for name in names},
        "ops": {name: url for name, url in at.items() if not name.endswith("_api")},
        "logs": {name: f"{name}.log" for name in names},
    }
    (home / "stack.json").write_text(json.dumps(facts))


async def shown(home: Path) -> dict[str, list[str]]:
    """Return the words of each process's line; a supervisor holds the home."""
    with Home(home).held():
        lines = await asyncio.to_thread(status, Home(home), print)
    return {line.split()[0]: line.split() for line in reversed(lines)}


async def test_each_process_is_shown_with_its_address_and_whether_it_is_ready(tmp_path: Path) -> None:
    async with processes(
        tmp_path, command_api=READY, query_api=READY, relay=WAITING, worker=OTHER, webhooks=None, expiry=READY
    ) as at:
        lines = await shown(tmp_path)

    assert {name: " ".join(lines[name][4:]) for name in at} == {
        "command_api": f"ready {at['command_api']} command_api.log",
        "query_api": f"ready {at['query_api']} query_api.log",
        "relay": f"waiting for starting, broker_unreachable {at['relay']} relay.log",
        "worker": f"answers 404 {at['worker']} worker.log",
        "webhooks": f"no answer in 1 s {at['webhooks']} webhooks.log",
        "expiry": f"ready {at['expiry']} expiry.log",
    }
    assert " ".join(lines["broker_unreachable:"]) == f"broker_unreachable: {MEANINGS['broker_unreachable']}"


async def test_of_what_is_not_there_it_says_so(tmp_path: Path) -> None:
    nowhere = {name: f"http://127.0.0.1:{free_port()}" for name in ("command_api", "query_api", "relay")}
    stand_in(tmp_path, nowhere)

    lines = await shown(tmp_path)

    assert {" ".join(lines[name][4:6]) for name in [*nowhere, "postgres"]} == {"not running"}
    assert " ".join(lines["valkey"][4:]) == "no answer redis://127.0.0.1:1/0 -"  # nobody of ours
    assert " ".join(lines["kafka"][4:]) == "- none -"
