"""The command service as one process, or several over one database; each can be killed and started again."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.services.command_service import PEPPER
from tests.support.services.command_service import partner_key as make_key
from tests.support.services.servers import Database
from tests.support.services.system import (
    System,
    clean_environment,
    free_ports,
    one_process,
    partner_key,
    service_secrets,
)

NAME = "command_api"


class CommandProcess:
    """`python -m command_api` at one address, down until `start`; `settings` are variables of its environment."""

    def __init__(self, database: Database, logs: Path, **settings: str) -> None:
        self._system, port = one_process(NAME, database.command_url, PEPPER, logs, **settings)
        self.database = database
        self.log = logs / f"{NAME}.log"
        self.url = f"http://127.0.0.1:{port}"

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        await self._system.start(NAME)
        await self._system.ready(NAME)

    async def kill(self) -> None:
        """End it at once, whatever it is doing."""
        await self._system.kill(NAME)

    async def partner(self, *, livemode: bool = False) -> tuple[str, str]:
        """Return the id and the key of a partner that no other test knows."""
        name = f"partner-{secrets.token_hex(4)}"
        return name, await make_key(self.database, name, livemode=livemode)

    async def orders_of(self, partner_id: str) -> int:
        """Return how many orders the partner has."""
        statement = "SELECT FROM harbor.streams WHERE tenant_id IN ($1 || '.test', $1 || '.live')"
        return len(await self.database.fetch(statement, partner_id))


@asynccontextmanager
async def command_process(database: Database, directory: Path, **settings: str) -> AsyncIterator[CommandProcess]:
    """Run a service while the context is open."""
    service = CommandProcess(database, directory, **settings)
    try:
        await service.start()
        yield service
    finally:
        await service.kill()


@dataclass(frozen=True, slots=True)
class CommandProcesses:
    """Running `python -m command_api` processes: their names in `system`, ports, a partner's key, their pepper."""

    system: System
    names: tuple[str, ...]
    ports: tuple[int, ...]
    api_key: str
    pepper: str

    async def kill_and_restart(self, name: str) -> None:
        """End one with SIGKILL, start it again and return when it is ready."""
        await self.system.kill(name)
        await self.system.start(name)
        await self.system.ready(name)


@asynccontextmanager
async def command_processes(
    database: Database, redis_url: str, logs: Path, count: int = 2
) -> AsyncIterator[CommandProcesses]:
    """Run `count` command services while the context is open."""
    ports = {f"command_api-{number}": port for number, port in enumerate(free_ports(count), 1)}
    pepper = secrets.token_hex(32)
    shared = clean_environment() | service_secrets(pepper)
    shared |= {
        "HARBOR_POSTGRES__URL": database.command_url,
        # A slow machine is no reason to respond 503.
        "HARBOR_POSTGRES__COMMAND_TIMEOUT_S": "60",
        "HARBOR_COMMAND_API__REQUEST_DEADLINE_S": "60",
        "HARBOR_REDIS__URL": redis_url,
    }
    environments = {name: shared | {"HARBOR_COMMAND_API__PORT": str(port)} for name, port in ports.items()}
    system = System(environments, ports, logs)
    key = await partner_key(database.admin_url, pepper)
    try:
        for name in ports:
            await system.start(name)
        for name in ports:
            await system.ready(name)
        yield CommandProcesses(system, tuple(ports), tuple(ports.values()), key, pepper)
    finally:
        await system.stop()
