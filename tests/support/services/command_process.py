"""The command service as a process that tests kill and start again on the same port and the same database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.services.command_service import PEPPER
from tests.support.services.ports import free_port
from tests.support.services.servers import Database
from tests.support.services.system import System, clean_environment, service_secrets

NAME = "command_api"


class CommandProcess:
    """`python -m command_api` at one address, down until `start`; `settings` are variables of its environment."""

    def __init__(self, database: Database, logs: Path, **settings: str) -> None:
        port = free_port()
        self.log = logs / f"{NAME}.log"
        self.url = f"http://127.0.0.1:{port}"
        own = {"HARBOR_POSTGRES__URL": database.command_url, "HARBOR_COMMAND_API__PORT": str(port), **settings}
        self._system = System({NAME: clean_environment() | service_secrets(PEPPER) | own}, {NAME: port}, logs)

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        await self._system.start(NAME)
        await self._system.ready(NAME)

    async def kill(self) -> None:
        """End it at once, whatever it is doing."""
        await self._system.kill(NAME)


@asynccontextmanager
async def command_process(database: Database, directory: Path, **settings: str) -> AsyncIterator[CommandProcess]:
    """Run a service while the context is open."""
    service = CommandProcess(database, directory, **settings)
    try:
        await service.start()
        yield service
    finally:
        await service.kill()
