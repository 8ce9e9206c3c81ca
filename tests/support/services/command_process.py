"""The command service as a process that tests kill and start again on the same port and the same database."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from tests.support.services.command_service import PEPPER
from tests.support.services.servers import Database
from tests.support.services.system import free_ports
from tests.support.waiting import eventually

CHECKOUT = Path(__file__).resolve().parents[3]


class CommandProcess:
    """`python -m command_api` at one address, down until `start`; `settings` are variables of its environment."""

    def __init__(self, database: Database, log: Path, **settings: str) -> None:
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self._environment = clean_environment() | {
            "HARBOR_POSTGRES__URL": database.command_url,
            "HARBOR_SECURITY__API_KEY_PEPPER": PEPPER,
            "HARBOR_SECURITY__CURSOR_SECRET": "c" * 32,
            "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY": base64.b64encode(b"w" * 32).decode(),
            "HARBOR_COMMAND_API__PORT": str(port),
            **settings,
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "command_api", cwd=CHECKOUT, env=self._environment, stdout=output, stderr=output
            )
        await eventually(self._is_ready, timeout_s=60.0, what=self.log.read_text())

    async def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()

    async def _is_ready(self) -> bool:
        with suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        return False


@asynccontextmanager
async def command_process(database: Database, directory: Path, **settings: str) -> AsyncIterator[CommandProcess]:
    """Return a running service; it ends with the context."""
    service = CommandProcess(database, directory / "command_api.log", **settings)
    try:
        await service.start()
        yield service
    finally:
        await service.kill()


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HARBOR_")}
