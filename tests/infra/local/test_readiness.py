"""A start that waits says for what, gives up on nothing that may heal, and shows that time goes by."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.local import readiness
from infra.local.errors import LocalError
from infra.local.processes.launch import Launch
from infra.local.processes.supervisor import Program, Supervised, Supervisor
from infra.local.readiness import Starting
from tests.support.waiting import eventually

pytestmark = pytest.mark.server  # real sockets or processes, and deadlines that take their time


class Process:
    """A process that answers /readyz as its `codes` say now."""

    def __init__(self, *codes: str) -> None:
        self.codes = codes

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        document = {"status": "waiting" if self.codes else "ready", "waiting_for": self.codes}
        writer.write(b"HTTP/1.1 503 X\r\n\r\n" + json.dumps(document).encode())
        writer.close()


@asynccontextmanager
async def supervised(directory: Path, script: str) -> AsyncIterator[dict[str, Supervised]]:
    """Keep a process `relay` that runs this shell script."""

    async def ready() -> bool:
        return True

    launch = Launch(("/bin/sh", "-c", script), {"PATH": os.defpath}, directory)
    supervisor = Supervisor(print, lambda: None)
    supervisor.keep(Program("relay", lambda: launch, ready, directory / "relay.log"))
    try:
        yield dict(supervisor.supervised)
    finally:
        await supervisor.stop(["relay"])


@asynccontextmanager
async def started(
    directory: Path, process: Process, script: str = "exec sleep 600", patience_s: float = 3600
) -> AsyncIterator[tuple[asyncio.Task[None], list[str], list[bool]]]:
    """Follow the start of this process; return the task, what it said, and whether it was late."""
    said: list[str] = []
    late: list[bool] = []
    server = await asyncio.start_server(process.answer, "127.0.0.1", 0)
    address = {"relay": ("127.0.0.1", int(server.sockets[0].getsockname()[1]))}
    async with supervised(directory, script) as each:
        await eventually(lambda: each["relay"].pid or each["relay"].failures)
        call: Callable[[], None] = lambda: late.append(True)  # noqa: E731  # append returns None
        task = asyncio.create_task(Starting(each, address, said.append, patience_s).until_ready(call))
        try:
            yield task, said, late
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            server.close()


async def test_a_good_start_has_nothing_to_say(tmp_path: Path) -> None:
    process = Process("starting")
    async with started(tmp_path, process) as (task, said, late):
        process.codes = ()
        await asyncio.wait_for(task, 60)

    assert (said, late) == ([], [])


async def test_what_it_waits_for_is_said_with_its_meaning_and_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "STEADY_S", 0.05)
    process = Process("broker_unreachable")
    async with started(tmp_path, process) as (task, said, late):
        await eventually(lambda: said)
        process.codes = ()
        await asyncio.wait_for(task, 60)

    assert said[0] == ("relay: waits for broker_unreachable (Kafka does not serve; the process tries again by itself)")
    assert late == []


async def test_after_its_patience_it_says_who_waits_for_what_and_goes_on(tmp_path: Path) -> None:
    process = Process("topic_ahead_of_store")
    async with started(tmp_path, process, patience_s=0) as (task, said, late):
        await eventually(lambda: late)
        assert not task.done()
        process.codes = ()
        await asyncio.wait_for(task, 60)

    assert said[0] == "not ready after 0 s, and everything keeps running:"
    assert said[1].startswith("  relay: waits for topic_ahead_of_store (The topic holds what the store does not know")
    assert late == [True]


async def test_a_process_that_refuses_its_settings_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    async with started(tmp_path, Process("starting"), script="echo HARBOR_X: not a number; exit 2") as (task, _, _):
        with pytest.raises(LocalError, match=r"(?s)relay: ends again and again \(exit 2\).*HARBOR_X: not a number"):
            await asyncio.wait_for(task, 60)
