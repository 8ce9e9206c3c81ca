"""Real servers for tests: each starts once per run (or per worker of a parallel run), on a free port.

Their data lies in memory where there is enough of it: fsync stays on and a kill -9 means the same, because the kernel
keeps what a killed process had written, but no test waits for a disk.
"""

import asyncio
import contextlib
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import asyncpg
import psutil

from infra import clock
from infra.local import directories
from infra.local.processes.launch import Launch, spawn
from infra.local.servers import kafka_jars
from infra.local.servers.kafka import KafkaServer as KafkaProgram
from infra.local.servers.postgres import PostgresServer
from infra.local.servers.valkey import ValkeyServer
from infra.postgres.login_roles import LOGIN_ROLES, create_login_roles
from infra.postgres.migrate import migrate
from projections.read_models.create_tables import create_tables
from tests.support.services.ports import free_port

T = TypeVar("T")
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20
TEMPLATE = "harbor_template"
MEMORY = Path("/dev/shm")  # noqa: S108  # a file system, not a file of a guessable name
NEEDED_BYTES = 4 * 2**30
"""Memory that must be free before servers keep their data in it."""
LIGHT = """
shared_buffers = '32MB'
min_wal_size = '80MB'
max_wal_size = '512MB'
"""
"""PostgreSQL for tests: several clusters side by side, none of which holds much."""


class Program(Protocol):
    """What PostgreSQL, Valkey and Kafka have in common."""

    def prepare(self) -> Launch: ...

    async def is_ready(self) -> bool: ...


def run(work: Coroutine[None, None, T]) -> T:
    """Run a coroutine from a synchronous fixture, leaving pytest-asyncio's event loop alone."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work)


@dataclass(slots=True)
class RunningServer:
    """A server process that a test may kill and start again on the same data."""

    program: Program
    log: Path
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and return when it answers."""
        launch = self.program.prepare()
        process = spawn(launch, self.log)
        self.process = process
        deadline = clock.monotonic_s() + START_TIMEOUT_S
        while not await self.program.is_ready():
            if process.poll() is not None or clock.monotonic_s() > deadline:
                raise RuntimeError(f"{self.program} did not get ready: {self.log.read_text()[-2000:]}")
            await asyncio.sleep(0.02)

    def stop(self) -> None:
        """Ask it to end and wait until it has."""
        self._end(self.program.prepare().stop_signal)

    def kill(self) -> None:
        """End it without warning and wait until the kernel has cleaned up."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it with all its processes: connections stay, nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        if self.process:
            parent = psutil.Process(self.process.pid)
            for each in [parent, *parent.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self.process:
            self.process.send_signal(number)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_TIMEOUT_S)
            self.process = None


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database of one test.

    Attributes:
        name: of the database.
        admin_url: superuser.
        command_url, worker_url, query_url: the login roles of the processes.
    """

    name: str
    admin_url: str
    command_url: str
    worker_url: str
    query_url: str

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Run a statement as administrator and return its rows."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()


@dataclass(slots=True)
class PostgresCluster:
    """PostgreSQL of the run, with a migrated template that databases are cloned from."""

    server: PostgresServer
    running: RunningServer
    passwords: dict[str, str] = field(default_factory=lambda: {role: secrets.token_hex(8) for role in LOGIN_ROLES})
    is_template_made: bool = False

    def database(self, name: str) -> Database:
        """Return the addresses of a database by name."""
        urls = {group: self.server.url(name, role, self.passwords[role]) for role, group in LOGIN_ROLES.items()}
        return Database(
            name, self.server.url(name), urls["harbor_command"], urls["harbor_worker"], urls["harbor_query"]
        )

    async def create_database(self) -> Database:
        """Clone the template under a new name."""
        if not self.is_template_made:
            await self._make_template()
            self.is_template_made = True
        name = f"test_{secrets.token_hex(6)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return self.database(name)

    async def copy_database(self, source: Database) -> Database:
        """Copy a database as it is, like a backup and its restoration; nobody may be connected to it."""
        name = f"test_{secrets.token_hex(6)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {source.name}")
        return self.database(name)

    async def drop_database(self, name: str) -> None:
        """Drop it, ending whatever is still connected."""
        await self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    async def execute(self, statement: str) -> None:
        """Run one statement as administrator of the cluster."""
        connection = await asyncpg.connect(self.server.url())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _make_template(self) -> None:
        await self.drop_database(TEMPLATE)  # of an attempt that failed: every test then shows the reason
        await self.execute(f"CREATE DATABASE {TEMPLATE}")
        template = self.database(TEMPLATE)
        await migrate(template.admin_url)
        await create_login_roles(template.admin_url, self.passwords)
        worker = await asyncpg.connect(template.worker_url)
        try:
            await create_tables(worker)
        finally:
            await worker.close()


@dataclass(slots=True)
class KafkaServer:
    """The broker of the run. A test that kills it starts it again before it ends."""

    bootstrap: str
    running: RunningServer

    def kill(self) -> None:
        """End the broker without warning."""
        self.running.kill()

    def stop(self) -> None:
        """End the broker in good order."""
        self.running.stop()

    async def start(self) -> None:
        """Start it on the same data and return when it answers (about 4 s after a kill)."""
        await self.running.start()

    async def restart(self) -> None:
        """End it in good order and start it again."""
        self.stop()
        await self.start()


@contextlib.contextmanager
def run_directory(*, on_disk: bool = False) -> Iterator[Path]:
    """Return a new directory the servers' accounts can reach, in memory if possible; it is deleted afterwards."""
    parent = None if on_disk or not _has_memory() else MEMORY
    directory = Path(tempfile.mkdtemp(prefix="harbor-tests-", dir=parent))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _has_memory() -> bool:
    if not MEMORY.is_dir():
        return False
    available: int = psutil.virtual_memory().available
    return min(shutil.disk_usage(MEMORY).free, available) >= NEEDED_BYTES


@contextlib.contextmanager
def postgres(directory: Path, settings: str = LIGHT) -> Iterator[PostgresCluster]:
    """Start PostgreSQL; `settings` override those of the local stack."""
    home = directories.reachable_dir(directory / "postgres", directories.server_account())
    server = PostgresServer(home / "data", free_port(), secrets.token_hex(16), max_connections=200, settings=settings)
    try:
        with _started(server, directory / "postgres.log") as running:
            yield PostgresCluster(server, running)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def valkey(directory: Path) -> Iterator[ValkeyServer]:
    """Start Valkey."""
    server = ValkeyServer(directory / "valkey", free_port(), secrets.token_hex(16))
    with _started(server, directory / "valkey.log"):
        yield server


@contextlib.contextmanager
def kafka(directory: Path) -> Iterator[KafkaServer]:
    """Start a broker; the first run on a machine fetches the jars (43 MB)."""
    jars = kafka_jars.fetch(lambda _done, _total, _name: None)
    program = KafkaProgram(directory / "kafka", free_port(), free_port(), jars)
    with _started(program, directory / "kafka.log") as running:
        yield KafkaServer(program.bootstrap_servers, running)


@contextlib.contextmanager
def _started(program: Program, log: Path) -> Iterator[RunningServer]:
    running = RunningServer(program, log)
    try:
        run(running.start())
        yield running
    finally:
        running.stop()
