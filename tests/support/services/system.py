"""The whole system as real processes on the test servers: start, kill, restart any of them."""

import asyncio
import base64
import os
import secrets
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg

from infra import clock
from infra.security.api_key_store import create_key
from infra.security.api_keys import KeyActor
from tests.demo.stack import CHECKOUT, Stack
from tests.support.services.ports import free_port
from tests.support.services.servers import Database, KafkaServer
from tests.support.waiting import eventually

READY_S = 60.0
STOP_S = 60.0
PARTNER_SCOPES = ("orders:read", "orders:write", "orders:cancel", "orders:authorize", "orders:capture")
MONEY_SCOPES = ("orders:refund", "settlements:write")
WEBHOOK_SCOPES = ("webhooks:read", "webhooks:manage")
KEY_SCOPES = ("keys:manage",)

COMMANDS: dict[str, tuple[str, ...]] = {
    "relay": ("infra.relay",),
    "worker": ("projections", "worker"),
    "dispatcher": ("projections", "webhooks"),
    "command_api": ("command_api",),
    "query_api": ("query_api",),
}
ALONE: dict[str, tuple[str, ...]] = {"timer": ("command_api", "expire")}
"""Processes that tests run only by themselves."""


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HARBOR_")}


def service_secrets(pepper: str) -> dict[str, str]:
    """Return the settings that have no default."""
    return {
        "HARBOR_SECURITY__API_KEY_PEPPER": pepper,
        "HARBOR_SECURITY__CURSOR_SECRET": secrets.token_hex(32),
        "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
    }


def ports_of(port: int) -> dict[str, str]:
    """Return the settings that make any of the processes listen on a port."""
    return {f"HARBOR_{kind}__PORT": str(port) for kind in ("OPS", "COMMAND_API", "QUERY_API")}


class System:
    """Processes over one database, by name; each can be killed and started again.

    A name is one of `COMMANDS` or `ALONE`, or one followed by a number: `command_api-2`.
    """

    def __init__(self, environments: Mapping[str, Mapping[str, str]], ports: Mapping[str, int], logs: Path) -> None:
        self.environments = environments
        self.ports = ports
        self._logs = logs
        self._processes: dict[str, Process] = {}

    async def start(self, name: str) -> None:
        """Start one process; does not wait until it is ready."""
        with (self._logs / f"{name}.log").open("ab") as log:
            self._processes[name] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *(COMMANDS | ALONE)[name.partition("-")[0]],
                cwd=CHECKOUT,
                env=dict(self.environments[name]),
                stdout=log,
                stderr=log,
            )

    async def kill(self, name: str) -> None:
        """End one process with SIGKILL, unless it has ended."""
        if self._processes[name].returncode is None:
            self._processes[name].kill()
        await self._processes[name].wait()

    def send(self, name: str, number: signal.Signals) -> None:
        """Send one process a signal."""
        self._processes[name].send_signal(number)

    async def ready(self, name: str) -> None:
        """Wait until the process answers /readyz with 200."""

        async def answers() -> bool:
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.get(f"http://127.0.0.1:{self.ports[name]}/readyz") as response,
                ):
                    return response.status == 200  # HTTP OK
            except aiohttp.ClientError:
                return False

        await eventually(answers, timeout_s=READY_S)

    async def stop(self) -> dict[str, int]:
        """Stop everything with SIGTERM; return the exit status of each process that still ran."""
        running = {name: process for name, process in self._processes.items() if process.returncode is None}
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_S):
            return {name: await process.wait() for name, process in running.items()}

    def log(self, name: str) -> str:
        """Return what the process has logged so far."""
        return (self._logs / f"{name}.log").read_text(errors="replace")


def one_process(name: str, url: str, pepper: str, logs: Path, **settings: str) -> tuple[System, int]:
    """Return a system of one process, down until it is started, over the database at `url`; and its port."""
    port = free_port()
    own = {"HARBOR_POSTGRES__URL": url} | ports_of(port) | settings
    return System({name: clean_environment() | service_secrets(pepper) | own}, {name: port}, logs), port


@asynccontextmanager
async def running_system(
    database: Database, kafka: KafkaServer | None, topic_prefix: str, logs: Path
) -> AsyncIterator[tuple[System, Stack]]:
    """Run the whole system; without `kafka` the worker tails the store and there is no relay."""
    ports = dict(zip(COMMANDS, free_ports(len(COMMANDS)), strict=True))
    pepper = secrets.token_hex(32)
    shared = clean_environment() | service_secrets(pepper)
    shared |= {"HARBOR_KAFKA__TOPIC_PREFIX": topic_prefix, "HARBOR_WEBHOOKS__ALLOW_NETWORKS": "127.0.0.0/8"}
    shared |= {"HARBOR_WEBHOOKS__SCHEDULE_SCALE": "0.02", "HARBOR_WEBHOOKS__LEASE_S": "2"}
    if kafka is not None:
        shared["HARBOR_KAFKA__BOOTSTRAP_SERVERS"] = kafka.bootstrap
    urls = dict.fromkeys(COMMANDS, database.worker_url)
    urls |= {"command_api": database.command_url, "query_api": database.query_url}
    environments = {name: shared | ports_of(ports[name]) | {"HARBOR_POSTGRES__URL": urls[name]} for name in COMMANDS}
    if kafka is not None:
        await run_once(("infra.kafka", "topics"), environments["relay"])
    await run_once(("projections", "create-tables"), environments["worker"])
    stack = Stack(
        f"http://127.0.0.1:{ports['command_api']}",
        f"http://127.0.0.1:{ports['query_api']}",
        database.admin_url,
        kafka.bootstrap if kafka is not None else None,
        f"{topic_prefix}orders.events.v1",
        await partner_key(database.admin_url, pepper),
    )
    system = System(environments, ports, logs)
    names = [name for name in COMMANDS if kafka is not None or name != "relay"]
    try:
        for name in names:
            await system.start(name)
        for name in names:
            await system.ready(name)
        yield system, stack
    finally:
        await system.stop()


async def partner_key(admin_url: str, pepper: str, partner_id: str = "acme") -> str:
    """Make a test-mode key with every partner scope and return its text."""
    connection = await asyncpg.connect(admin_url)
    try:
        key, _record = await create_key(
            connection,
            pepper=pepper.encode(),
            now=clock.now(),
            partner_id=partner_id,
            livemode=False,
            scopes=frozenset(PARTNER_SCOPES + MONEY_SCOPES + WEBHOOK_SCOPES + KEY_SCOPES),
            by=KeyActor("installation", "test", "test"),
        )
        return key
    finally:
        await connection.close()


async def run_once(command: tuple[str, ...], environment: Mapping[str, str]) -> None:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; the message is what it printed.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *command,
        cwd=CHECKOUT,
        env=dict(environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {output.decode(errors='replace')}")


def free_ports(count: int) -> list[int]:
    """Return so many free ports, which no other test is given."""
    return [free_port() for _ in range(count)]
