"""The servers of one benchmark run: one PostgreSQL and one Redis for everybody, each target a process of its own.

Every target has a database of its own in the same cluster, so all have the same settings and the same durability.
Targets are started when first asked for and stay up; an idle one costs nothing.
"""

import base64
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import psutil

from infra.local.probe import is_ready
from infra.local.processes.launch import Launch, spawn
from tests.bench.report.model import OURS, TITLES, WITH_FUNCTIONS
from tests.bench.sample import stored_sizes
from tests.support.services import servers
from tests.support.services.ports import free_port
from tests.support.services.servers import PostgresCluster, run
from tests.support.services.system import partner_key

CHECKOUT: Final = Path(__file__).resolve().parents[2]
READY_S: Final = 30.0
STOP_S: Final = 20.0
_SETTINGS: Final = (
    *("server_version", "fsync", "synchronous_commit"),
    *("full_page_writes", "shared_buffers", "wal_compression"),
)
_UVICORN: Final = (
    *("--loop", "uvloop", "--http", "httptools", "--timeout-keep-alive", "30"),
    *("--no-access-log", "--log-level", "warning"),
)
_PEERS: Final = {
    "empty": "empty",
    "group_commit": "group_commit",
    "eventsourcing": "eventsourcing_app",
    WITH_FUNCTIONS: "eventsourcing_app",
    "crud": "crud_app",
}


class TargetError(Exception):
    """A target does not start; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class Target:
    """Running processes that take orders: their ports, and the key to send."""

    name: str
    ports: tuple[int, ...]
    api_key: str
    processes: tuple[subprocess.Popen[bytes], ...] = field(repr=False)

    def cpu_s(self) -> float:
        """Return the CPU seconds its processes have used."""
        return sum(_cpu_s(process.pid) for process in self.processes)


class BenchStack:
    """Starts targets over one cluster."""

    def __init__(self, cluster: PostgresCluster, redis_url: str, directory: Path) -> None:
        self.cluster = cluster
        self.pepper = secrets.token_hex(32)
        self._redis_url = redis_url
        self._directory = directory
        self._targets: dict[str, Target] = {}

    def target(self, name: str) -> Target:
        """Return a running target: a name of `TITLES`.

        Raises:
            TargetError: it does not start.
        """
        if name not in self._targets:
            self._targets[name] = self._start_service(name) if name.startswith(OURS) else self._start_peer(name)
        return self._targets[name]

    def postgres_cpu_s(self) -> float:
        """Return the CPU seconds of the server and all its backends."""
        process = self.cluster.running.process
        return _cpu_s(process.pid, with_children=True) if process else 0.0

    def execute(self, statement: str) -> None:
        """Run a statement as administrator of the cluster."""
        run(self.cluster.execute(statement))

    def settings(self) -> dict[str, str]:
        """Return the settings of the server that decide what a commit means."""
        return run(server_settings(self.cluster.server.url()))

    def environment(self, database_url: str) -> dict[str, str]:
        """Return the settings of a service."""
        return {
            "HARBOR_POSTGRES__URL": database_url,
            "HARBOR_REDIS__URL": self._redis_url,
            "HARBOR_SECURITY__API_KEY_PEPPER": self.pepper,
            "HARBOR_SECURITY__CURSOR_SECRET": "c" * 32,
            "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY": base64.b64encode(b"w" * 32).decode(),
            # The limiter works as always; only its number is out of the way, because one partner sends everything.
            "HARBOR_LIMITS__PARTNER_PER_S": "1000000",
            "HARBOR_LIMITS__PARTNER_BURST": "1000000",
        }

    def start(
        self, name: str, command: tuple[str, ...], own: Mapping[str, str], port: int, checkout: Path = CHECKOUT
    ) -> subprocess.Popen[bytes]:
        """Start a process of a checkout, with its own interpreter, and return it when it is ready.

        Raises:
            TargetError: it does not start.
        """
        log = self._directory / f"{name}.log"
        process = spawn(Launch((interpreter(checkout), *command), clean_environment() | dict(own), checkout), log)
        deadline_s = time.monotonic() + READY_S
        while not run(is_ready(("127.0.0.1", port), "/readyz")):
            if process.poll() is not None or time.monotonic() > deadline_s:
                process.kill()
                process.wait()
                raise TargetError(f"{name} does not start: {_reason(log)}")
            time.sleep(0.05)
        return process

    def stop(self) -> None:
        """End every target."""
        end(*(process for target in self._targets.values() for process in target.processes))
        self._targets.clear()

    def _start_service(self, name: str) -> Target:
        database = run(self.cluster.create_database())
        shared = self.environment(database.command_url)
        ports = tuple(free_port() for _ in range(int(name.partition(" x")[2] or 1)))
        processes = tuple(
            self.start(f"{name}-{port}", ("-m", "command_api"), shared | {"HARBOR_COMMAND_API__PORT": str(port)}, port)
            for port in ports
        )
        return Target(name, ports, run(partner_key(database.admin_url, self.pepper)), processes)

    def _start_peer(self, name: str) -> Target:
        port = free_port()
        command = ("-m", "uvicorn", f"tests.bench.peers.{_PEERS[name]}:app", "--port", str(port), *_UVICORN)
        return Target(name, (port,), "none", (self.start(name, command, self._peer_environment(name), port),))

    def _peer_environment(self, name: str) -> dict[str, str]:
        if name == "empty":
            return {}
        if name == "group_commit":
            payload, response = run(stored_sizes())
            sizes = {"BENCH_PAYLOAD_BYTES": str(payload), "BENCH_RESPONSE_BYTES": str(response)}
            return sizes | {"HARBOR_POSTGRES__URL": run(self.cluster.create_database()).command_url}
        self.execute(f"CREATE DATABASE bench_{name}")
        url = self.cluster.server.url(f"bench_{name}")
        if name == "crud":
            return {"BENCH_DATABASE_URL": url.replace("postgresql://", "postgresql+asyncpg://", 1)}
        parts = urlsplit(url)
        return {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": f"bench_{name}",
            "POSTGRES_HOST": parts.hostname or "",
            "POSTGRES_PORT": str(parts.port),
            "POSTGRES_USER": parts.username or "",
            "POSTGRES_PASSWORD": parts.password or "",
            "POSTGRES_ENABLE_DB_FUNCTIONS": "yes" if name == WITH_FUNCTIONS else "no",
        }


@contextmanager
def bench_stack() -> Iterator[BenchStack]:
    """Start PostgreSQL, with the local stack's settings and on disk, and Redis; everything ends with the context."""
    with (
        servers.run_directory(on_disk=True) as directory,
        servers.postgres(directory, settings="") as cluster,
        servers.valkey(directory) as redis,
    ):
        stack = BenchStack(cluster, redis.url, directory)
        try:
            yield stack
        finally:
            stack.stop()


def recycle_wal(cluster: PostgresCluster, segments: int) -> None:
    """Make WAL files that later writes reuse, as in a server that has run for a while: a new one costs some 45 ms."""
    for _ in range(segments):
        for statement in ("SELECT pg_logical_emit_message(true, 'bench', 'x')", "SELECT pg_switch_wal()"):
            run(cluster.execute(statement))
    run(cluster.execute("CHECKPOINT"))


async def server_settings(url: str) -> dict[str, str]:
    """Return the settings of a server that decide what a commit means."""
    connection = await asyncpg.connect(url)
    try:
        return {name: str(await connection.fetchval(f"SHOW {name}")) for name in _SETTINGS}
    finally:
        await connection.close()


def interpreter(checkout: Path) -> str:
    """Return the Python of a checkout: its own environment's, or for this one the running one."""
    return sys.executable if checkout == CHECKOUT else str(checkout / ".venv" / "bin" / "python")


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of ours and without a path to this checkout's modules."""
    return {key: value for key, value in os.environ.items() if not key.startswith("HARBOR_") and key != "PYTHONPATH"}


def end(*processes: subprocess.Popen[bytes]) -> None:
    """Ask processes to end; kill those that do not."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def title(name: str) -> str:
    """Return what a target is called in the tables."""
    return TITLES.get(name, name)


def _cpu_s(pid: int, *, with_children: bool = False) -> float:
    try:
        process = psutil.Process(pid)
        used = process.cpu_times()
        total = float(used.user + used.system)
        if with_children:
            # A backend that has ended is in its parent's account of children.
            total += float(used.children_user + used.children_system)
            total += sum(_cpu_s(child.pid) for child in process.children(recursive=True))
    except psutil.NoSuchProcess:
        return 0.0
    return total


def _reason(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no response, and an empty log"
