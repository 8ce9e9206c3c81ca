"""The local stack as a user starts it: `python -m infra.local up`, with servers, processes and ports of its own."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from infra.local.home import CHECKOUT
from tests.support.services.system import clean_environment

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
    own = {"HARBOR_HOME": str(home), "HARBOR_COMMAND_API__PORT": "0", "HARBOR_QUERY_API__PORT": "0"}
    return subprocess.run(  # noqa: S603  # fixed words
        [sys.executable, "-m", "infra.local", *arguments],
        cwd=CHECKOUT,
        env=clean_environment() | own,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@contextmanager
def local_stack(home: Path) -> Iterator[LocalStack]:
    """Start a stack with a broker; stop it at the end, when no process of it may be left, and delete its data."""
    started = local(home, "up", "--broker", "kafka", "--detach")
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield LocalStack(home, started.stdout)
    finally:
        run_file = home / "run.json"
        children = json.loads(run_file.read_text())["children"] if run_file.exists() else {}
        pids = [each["pid"] for each in children.values()]
        stopped = local(home, "down")
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr
        assert [pid for pid in pids if psutil.pid_exists(pid)] == []
        local(home, "clean")
        assert not home.exists()


@asynccontextmanager
async def receiver(home: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run examples/webhook_receiver.py for the stack of this home while the context is open."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(RECEIVER), *options),
        env=os.environ | {"HARBOR_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
