"""The local stack as a user starts it: `python -m infra.local up`, with servers, processes and ports of its own."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Final

import psutil

from infra import clock
from infra.local.home import CHECKOUT, Home
from infra.local.processes.launch import Launch, spawn
from tests.support.services.system import clean_environment

READY_S: Final = 240.0
POLL_S: Final = 0.05
RECEIVER: Final = CHECKOUT / "examples" / "webhook_receiver.py"


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A running stack. `printed` is what `up` wrote."""

    home: Path
    printed: str

    def facts(self) -> dict[str, Any]:
        """Return the contents of stack.json."""
        found: dict[str, Any] = json.loads((self.home / "stack.json").read_text())
        return found


def local(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m infra.local ARGUMENTS` for a home, with free ports."""
    return subprocess.run(  # noqa: S603  # fixed words
        [sys.executable, "-m", "infra.local", *arguments],
        cwd=CHECKOUT,
        env=_environment(home),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def _environment(home: Path) -> dict[str, str]:
    own = {"HARBOR_HOME": str(home), "HARBOR_COMMAND_API__PORT": "0", "HARBOR_QUERY_API__PORT": "0"}
    return clean_environment() | own


def _is_ready(home: Path, started: subprocess.Popen[bytes]) -> bool:
    """Return whether all is ready in time."""
    deadline_s = clock.monotonic_s() + READY_S
    while started.returncode is None and clock.monotonic_s() < deadline_s:
        if (home / "stack.json").exists() and LocalStack(home, "").facts()["state"] == "ready":
            return True
        time.sleep(POLL_S)
    return False


@contextmanager
def local_stack(home: Path) -> Iterator[LocalStack]:
    """Start a stack with a broker; stop it at the end, when no process of it may be left, and delete its data.

    It ends with this process too, however that ends.
    """
    Home(home).make()
    log = Home(home).log_file("up")
    arguments = ("-m", "infra.local", "up", "--broker", "kafka")
    started = spawn(Launch((sys.executable, *arguments), _environment(home), CHECKOUT), log)
    reaper = Thread(target=started.wait)  # or it would stay a zombie, for which `down` waits
    reaper.start()
    try:
        assert _is_ready(home, started), log.read_text()
        yield LocalStack(home, log.read_text())
    finally:
        run_file = home / "run.json"
        children = json.loads(run_file.read_text())["children"] if run_file.exists() else {}
        pids = [each["pid"] for each in children.values()]
        stopped = local(home, "down")
        reaper.join()
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr
        assert [pid for pid in pids if psutil.pid_exists(pid)] == []
        local(home, "clean")
        assert not home.exists()


@asynccontextmanager
async def receiver(home: Path, *options: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run examples/webhook_receiver.py for the stack of this home while the context is open."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(RECEIVER), *options),
        env=os.environ | {"HARBOR_HOME": str(home)} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
