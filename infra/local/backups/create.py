"""`make backup`: dump the database of the running stack from one snapshot, while orders flow."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Final

import asyncpg

from infra import clock
from infra.local.backups.contents import (
    LogState,
    Manifest,
    Secrets,
    digest,
    dump_file,
    log_state,
    secrets_file,
)
from infra.local.backups.programs import Say, database_of, megabytes, run_program
from infra.local.errors import LocalError
from infra.local.home import Home, write_private
from infra.local.servers.install import opens, opens_endpoints
from infra.observability.build_info import VERSION

_CONNECT_S: Final = 10.0
_AS_STARTED: Final = "the stack was started with other secrets than it had when they were made: mend that first"


async def back_up(
    home: Home, admin_url: str, directory: Path, say: Say, environment: Mapping[str, str] = MappingProxyType({})
) -> Manifest:
    """Write a backup of the database and, beside it, its secrets.

    Args:
        home: loaded; keeps the secrets.
        admin_url: of the database that the stack uses, its own or an external one.
        directory: made here; nothing is there before, and nothing is there after a failure.
        say: tells a person what happens.
        environment: that the stack was started with; its secrets go before those of the home.

    Raises:
        LocalError: something is in the way; the message says what.
        OSError, asyncpg.PostgresError: the database cannot be reached, or a file not be written.
    """
    if not directory.name:
        raise LocalError(f"{directory} cannot be made: name a new directory")
    secrets = secrets_file(directory)
    kept = Secrets(home.secrets_in(environment), home.kept.api_keys)
    for path in (directory, secrets):
        if path.exists():
            raise LocalError(f"{path} exists already: name another directory with TO=")
    unfinished = directory.with_name(f"{directory.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    is_complete = False
    try:
        manifest = await _dump(admin_url, unfinished, kept, say)
        await _check(admin_url, kept)
        write_private(unfinished / "backup.json", asdict(manifest))
        write_private(secrets, {"backup_id": manifest.backup_id, **asdict(kept)})
        unfinished.rename(directory)
        is_complete = True
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not is_complete:
            secrets.unlink(missing_ok=True)
    return manifest


async def _dump(admin_url: str, directory: Path, kept: Secrets, say: Say) -> Manifest:
    target = dump_file(directory)
    connection = await asyncpg.connect(admin_url, timeout=_CONNECT_S)
    try:
        # The dump and what the manifest says of it see the same commits.
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
            log = await log_state(connection)
            server = str(await connection.fetchval("SHOW server_version")).split()[0]
            say(f"dumping {log.events:,} events")
            arguments = [f"--snapshot={snapshot}", "--format=custom", f"--file={target}", database_of(admin_url)]
            await run_program("pg_dump", admin_url, arguments, lambda: say(f"  {megabytes(target)} written"))
    finally:
        await connection.close()
    target.chmod(0o600)
    _sync(target)
    return _manifest(target, log, server, kept.digest())


async def _check(admin_url: str, kept: Secrets) -> None:
    """Refuse secrets that open nothing in the database: after a restore no key would work, and no webhook be signed."""
    pepper = kept.secrets["api_key_pepper"].encode()
    connection = await asyncpg.connect(admin_url, timeout=_CONNECT_S)
    try:
        can_sign = await opens_endpoints(connection, kept.secrets["webhook_secrets_key"])
        fits = [await opens(connection, key, pepper) for key in kept.api_keys.values()]
    except ValueError as error:
        raise LocalError(f"{error}; {_AS_STARTED}") from None
    finally:
        await connection.close()
    if not any(fits):
        raise LocalError(f"HARBOR_SECURITY__API_KEY_PEPPER opens no API key of this stack; {_AS_STARTED}")
    if not can_sign:
        raise LocalError(f"HARBOR_SECURITY__WEBHOOK_SECRETS_KEY opens no endpoint of this stack; {_AS_STARTED}")


def _manifest(target: Path, log: LogState, server: str, secrets_sha256: str) -> Manifest:
    return Manifest(
        backup_id=clock.new_id_text(),
        made_at=clock.now().isoformat(timespec="seconds"),
        version=VERSION,
        postgres=server,
        log=log,
        dump_bytes=target.stat().st_size,
        dump_sha256=digest(target),
        secrets_sha256=secrets_sha256,
    )


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
