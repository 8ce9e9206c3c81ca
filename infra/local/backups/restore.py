"""`make restore`: a backup becomes the data of a home that has none, and is compared with what was backed up."""

import asyncio
import sys
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg

from infra.local.addresses import DATABASE, Addresses, environment_of, role_url
from infra.local.backups.contents import LogState, Manifest, Secrets, dump_file, log_state
from infra.local.backups.programs import Say, run_program
from infra.local.errors import LocalError
from infra.local.home import CHECKOUT, Home, Kept, make_command
from infra.local.processes.supervisor import Program, Supervisor
from infra.local.servers import install
from infra.local.servers.postgres import PostgresServer
from infra.postgres.login_roles import LOGIN_ROLES

READ_MODELS: Final = ("orders", "order_timeline")
"""What `projections verify` can compare."""

_READY_S: Final = 90.0
_CONNECT_S: Final = 10.0
_VERIFIED: Final = frozenset({0, 1, 3})
"""Exit statuses of `projections verify` that tell what it found."""

_WORKER: Final = "harbor_worker_login"
# The dump grants to these roles, which belong to the cluster and not to the database.
_ROLES: Final = """
CREATE ROLE harbor_owner NOLOGIN; CREATE ROLE harbor_command NOLOGIN;
CREATE ROLE harbor_worker NOLOGIN; CREATE ROLE harbor_query NOLOGIN;
"""


class Restored(NamedTuple):
    """How far the restored log goes, and which read models differ from it, as they did when it was backed up."""

    log: LogState
    differing: tuple[str, ...]


async def restore(home: Home, directory: Path, secrets: Path, say: Say) -> Restored:
    """Fill an empty home from a backup, with a PostgreSQL that runs only meanwhile.

    Args:
        home: held by this process; has no data. After a failure it has none either.
        directory: of the backup.
        secrets: the file that `make backup` wrote beside it.
        say: tells a person what happens.

    Raises:
        LocalError: something is missing, damaged or different; the message says what.
        OSError, asyncpg.PostgresError: the server failed.
    """
    manifest = Manifest.read(directory)
    kept = Secrets.read(secrets, manifest)
    if home.has_data():
        raise LocalError(
            f"{home.path} has data already: restore into another home (HARBOR_HOME=/path), "
            f"or delete these data first: {make_command('clean')}"
        )
    if home.is_foreign():
        raise LocalError(f"{home.path} holds other things: restore into an empty directory (HARBOR_HOME=/path)")
    say("checking the dump")
    manifest.check_dump(directory)
    home.delete_data()  # what an interrupted restore left
    home.make()
    home.kept = Kept(restoring=True)
    home.kept.secrets |= kept.secrets
    home.kept.api_keys |= kept.api_keys
    supervisor = Supervisor(say, lambda: None)
    try:
        restored = await _fill(home, supervisor, directory, manifest, say)
        await supervisor.stop(["postgres"])
        home.kept.restoring = False
        home.save()  # last: from here on there is a home
    except BaseException:
        await supervisor.stop(["postgres"])
        home.delete_data()
        raise
    return restored


async def _fill(home: Home, supervisor: Supervisor, directory: Path, manifest: Manifest, say: Say) -> Restored:
    server = PostgresServer(home.postgres_dir() / "data", home.port("postgres"), home.password("postgres"))
    home.save()  # the password, before a cluster is made with it
    url = server.url(DATABASE)
    supervisor.keep(Program("postgres", server.prepare, server.is_ready, home.log_file("postgres"), drain_s=30))
    say("starting PostgreSQL")
    await supervisor.until_ready("postgres", _READY_S)
    await install.create_database(url)
    await _execute(url, _ROLES)
    say(f"restoring {manifest.log.events:,} events, as of {manifest.made_at}")
    arguments = [f"--dbname={DATABASE}", "--exit-on-error", "--jobs=2", str(dump_file(directory))]
    await run_program("pg_restore", url, arguments, lambda: say("  restoring"))
    await _execute(url, "ANALYZE")
    found = await _log_state(url)
    if found != manifest.log:
        raise LocalError(
            f"the restored log is not the one of the backup: it has {found.events} events up to position {found.head}, "
            f"and the backup has {manifest.log.events} up to {manifest.log.head}"
        )
    passwords = {role: home.password(role) for role in LOGIN_ROLES}
    keys = dict(home.kept.api_keys)
    applied = await install.install(url, passwords, home.kept.api_keys, home.secret("api_key_pepper"), say)
    for name in applied:
        say(f"  migrated to {name}")
    for name in sorted(name for name, key in keys.items() if home.kept.api_keys[name] != key):
        say(f"  the key {name} of the local stack had expired or was revoked: there is a new one")
    return Restored(found, tuple([name for name in READ_MODELS if not await _is_equal(name, home, url, say)]))


async def _is_equal(name: str, home: Home, admin_url: str, say: Say) -> bool:
    """Show what `projections verify` says of a read model, and return whether it is as the log says."""
    url = role_url(admin_url, _WORKER, home.password(_WORKER))
    addresses = Addresses(admin_url, "", None, 0, 0)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "projections", "verify", name, "--without-workers"),
        cwd=CHECKOUT,
        env=environment_of("restore", home, addresses, url),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode not in _VERIFIED:
        raise LocalError(f"{name} could not be verified: {errors.decode(errors='replace').strip()[-800:]}")
    for line in output.decode(errors="replace").splitlines():
        say(line)
    return process.returncode == 0


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url, timeout=_CONNECT_S)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def _log_state(url: str) -> LogState:
    connection = await asyncpg.connect(url, timeout=_CONNECT_S)
    try:
        return await log_state(connection)
    finally:
        await connection.close()
