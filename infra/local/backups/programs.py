"""Runs PostgreSQL's own programs, and says from time to time how far they are."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from infra.local import directories
from infra.local.errors import LocalError
from infra.local.servers import postgres

_PROGRESS_S: Final = 2.0
_END_S: Final = 10.0
Say = Callable[[str], None]


async def run_program(name: str, admin_url: str, arguments: Sequence[str], progress: Callable[[], None]) -> None:
    """Run `pg_dump` or `pg_restore` on the database at an administrator's address.

    Args:
        name: of the program.
        admin_url: with the database; its password goes through the environment, where `ps` does not show it.
        arguments: besides those for the connection.
        progress: called every two seconds until the program ends.

    Raises:
        LocalError: it failed; the message has its last words.
    """
    parts = urlsplit(admin_url)
    binaries = postgres.install(directories.server_account())
    process = await asyncio.create_subprocess_exec(
        str(binaries / name),
        f"--host={parts.hostname or '127.0.0.1'}",
        f"--port={parts.port or 5432}",
        f"--username={unquote(parts.username or '')}",
        "--no-password",
        *arguments,
        env={**os.environ, "PGPASSWORD": unquote(parts.password or ""), "LC_ALL": "C"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    words = asyncio.ensure_future(process.communicate())
    try:
        while not (await asyncio.wait({words}, timeout=_PROGRESS_S))[0]:
            progress()
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait({words}, timeout=_END_S)
    if process.returncode:
        raise LocalError(f"{name} failed: {words.result()[1].decode(errors='replace').strip()[-800:]}")


def database_of(admin_url: str) -> str:
    """Return the name of the database in an address."""
    return unquote(urlsplit(admin_url).path.lstrip("/"))


def megabytes(path: Path) -> str:
    """Return the size of a file for people."""
    return f"{path.stat().st_size / 1e6:,.1f} MB" if path.exists() else "0 MB"
