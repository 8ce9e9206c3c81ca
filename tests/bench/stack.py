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

from infra.clock import now
from infra.local.probe import is_ready
from infra.local.processes.launch import Launch, spawn
from infra.security.api_key_store import create_key
from infra.security.api_keys import PARTNER_SCOPES, KeyActor
from tests.bench.model import OURS
from tests.bench.sample import stored_sizes
from tests.support.services import servers
from tests.support.services.ports import free_port
from tests.support.services.servers import Database, PostgresCluster, run

CHECKOUT: Final = Path(__file__).resolve().parents[2]
READY_S: Final = 30.0
STOP_S: Final = 20.0
PROCESSES: Final = f"{OURS} x4"
SAMPLED: Final = f"{OURS} sampled"
WITH_FUNCTIONS: Final = "eventsourcing_functions"
"""The same program with the library's own functions in the database switched on."""
_MODULES: Final = {
    "empty": "tests.bench.peers.empty",
    "group_commit": "tests.bench.peers.group_commit",
    "eventsourcing": "tests.bench.peers.eventsourcing_app",
    WITH_FUNCTIONS: "tests.bench.peers.eventsourcing_app",
    "crud": "tests.bench.peers.crud_app",
}
_UVICORN: Final = (
    *("--loop", "uvloop", "--http", "httptools", "--timeout-keep-alive", "30"),
    *("--no-access-log", "--log-level", "warning"),
)
TITLES: Final = {
    OURS: "Harbor Orders",
    PROCESSES: "Harbor Orders, 4 processes",
    SAMPLED: "Harbor Orders with a sampler",
    "group_commit": "raw ASGI + group commit",
    "empty": "empty ASGI app",
    "eventsourcing": "eventsourcing + FastAPI",
    WITH_FUNCTIONS: "eventsourcing + FastAPI, database functions",
    "crud": "FastAPI + SQLAlchemy CRUD",
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
        self._redis_url = redis_url
        self._directory = directory
        self._targets: dict[str, Target] = {}
        self._pepper = secrets.token_hex(32)

    def target(self, name: str) -> Target:
        """Return a running target: a name of `TITLES`.

        Raises:
            TargetError: it does not start.
        """
        if name not in self._targets:
            self._targets[name] = self._start(name)
        return self._targets[name]

    def postgres_cpu_s(self) -> float:
        """Return the CPU seconds of the server and all its backends."""
        process = self.cluster.running.process
        return _cpu_s(process.pid, with_children=True) if process else 0.0

    def execute(self, *statements: str) -> None:
        """Run statements as administrator of the cluster."""
        for statement in statements:
            run(self.cluster.execute(statement))

    def settings(self) -> dict[str, str]:
        """Return the settings of the server that decide what a commit means."""
        return run(server_settings(self.cluster.server.url()))

    @property
    def samples_file(self) -> Path:
        """Where the sampled service leaves its counts when it ends."""
        return self._directory / "samples.json"

    def stop(self, *names: str) -> None:
        """End these targets; without names every one."""
        ending = [self._targets.pop(name) for name in names or tuple(self._targets) if name in self._targets]
        processes = [process for target in ending for process in target.processes]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str) -> Target:
        if name == SAMPLED:
            return self._start_service(name, 1, "tests.bench.sampled_service")
        if name.startswith("harbor"):
            return self._start_service(name, int(name.partition(" x")[2] or 1), "command_api")
        module = _MODULES[name]
        environment = self._peer_environment(name)
        port = free_port()
        arguments = ("-m", "uvicorn", f"{module}:app", "--port", str(port), *_UVICORN)
        return Target(name, (port,), "none", (self._spawn(name, arguments, environment, port),))

    def _start_service(self, name: str, count: int, module: str) -> Target:
        database = run(self.cluster.create_database())
        environment = {
            "HARBOR_POSTGRES__URL": database.command_url,
            "HARBOR_REDIS__URL": self._redis_url,
            "HARBOR_SECURITY__API_KEY_PEPPER": self._pepper,
            "HARBOR_SECURITY__CURSOR_SECRET": secrets.token_hex(32),
            "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            # The limiter works as always; only its number is out of the way, because one partner sends everything.
            "HARBOR_LIMITS__PARTNER_PER_S": "1000000",
            "HARBOR_LIMITS__PARTNER_BURST": "1000000",
            "BENCH_SAMPLES": str(self.samples_file),
        }
        ports = tuple(free_port() for _ in range(count))
        processes = tuple(
            self._spawn(f"{name}-{port}", ("-m", module), environment | {"HARBOR_COMMAND_API__PORT": str(port)}, port)
            for port in ports
        )
        return Target(name, ports, run(_partner_key(database, self._pepper)), processes)

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

    def _spawn(
        self, name: str, arguments: tuple[str, ...], own: Mapping[str, str], port: int
    ) -> subprocess.Popen[bytes]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("HARBOR_")}
        log = self._directory / f"{name}.log"
        process = spawn(Launch((sys.executable, *arguments), inherited | dict(own), CHECKOUT), log)
        deadline_s = time.monotonic() + READY_S
        while not run(is_ready(("127.0.0.1", port), "/readyz")):
            if process.poll() is not None or time.monotonic() > deadline_s:
                process.kill()
                process.wait()
                raise TargetError(f"{TITLES[name.partition('-')[0]]} does not start: {_reason(log)}")
            time.sleep(0.05)
        return process


@contextmanager
def bench_stack() -> Iterator[BenchStack]:
    """Start PostgreSQL and Redis in a temporary directory; everything ends with the `with`."""
    with (
        servers.run_directory() as directory,
        servers.postgres(directory) as cluster,
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


async def _partner_key(database: Database, pepper: str) -> str:
    connection = await asyncpg.connect(database.admin_url)
    try:
        text, _record = await create_key(
            connection,
            pepper=pepper.encode(),
            partner_id="acme",
            livemode=False,
            scopes=PARTNER_SCOPES,
            now=now(),
            label="bench",
            by=KeyActor("installation", "bench", "bench"),
        )
    finally:
        await connection.close()
    return text


async def server_settings(url: str) -> dict[str, str]:
    """Return the settings of a server that decide what a commit means."""
    names = ["server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "wal_compression"]
    connection = await asyncpg.connect(url)
    try:
        return {name: str(await connection.fetchval(f"SHOW {name}")) for name in names}
    finally:
        await connection.close()


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
    return lines[-1] if lines else "no answer, and an empty log"
