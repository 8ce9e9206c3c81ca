"""Several command services as real processes over one database: kill and start again any of them."""

import base64
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.services.servers import Database
from tests.support.services.system import System, free_ports, partner_key


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
    """Run `count` command services; every one has ended when the context does."""
    ports = {f"command_api-{number}": port for number, port in enumerate(free_ports(count), 1)}
    pepper = secrets.token_hex(32)
    shared = {name: value for name, value in os.environ.items() if not name.startswith("HARBOR_")} | {
        "HARBOR_POSTGRES__URL": database.command_url,
        # What is to be refused is refused at once; a slow machine is no reason to answer 503.
        "HARBOR_POSTGRES__COMMAND_TIMEOUT_S": "60",
        "HARBOR_COMMAND_API__REQUEST_DEADLINE_S": "60",
        "HARBOR_REDIS__URL": redis_url,
        "HARBOR_SECURITY__API_KEY_PEPPER": pepper,
        "HARBOR_SECURITY__CURSOR_SECRET": secrets.token_hex(32),
        "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
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
