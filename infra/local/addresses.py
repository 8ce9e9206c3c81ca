"""Where the stack's servers and services are, and the environment of each process."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from infra.local.errors import LocalError
from infra.local.home import Home, Json, make_command
from infra.local.ports import is_port_free

LOOPBACK = "127.0.0.0/8,::1/128"
DATABASE = "harbor"
_HOSTS = "HARBOR_PUBLIC__TRUSTED_HOSTS"
_DEFAULT_PORTS = {"HARBOR_COMMAND_API__PORT": 8000, "HARBOR_QUERY_API__PORT": 8001}

# module -> login role of its commands; every other module runs as the workers do
_LOGINS = {"command_api": "harbor_command_login", "query_api": "harbor_query_login"}


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a process of the stack must know about the others.

    Attributes:
        admin_url: PostgreSQL as administrator, with the database.
        redis_url: Redis or Valkey.
        bootstrap_servers: Kafka; None: the stack runs without a broker.
        command_port, query_port: of the two services.
    """

    admin_url: str
    redis_url: str
    bootstrap_servers: str | None
    command_port: int
    query_port: int

    @property
    def command_api(self) -> str:
        """Return the base address of the command service."""
        return f"http://127.0.0.1:{self.command_port}"

    @property
    def query_api(self) -> str:
        """Return the base address of the query service."""
        return f"http://127.0.0.1:{self.query_port}"


def role_url(admin_url: str, role: str, password: str) -> str:
    """Return the same database's address for another role."""
    parts = urlsplit(admin_url)
    hosts = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role)}:{quote(password)}@{hosts}"))


def shown(url: str) -> str:
    """Return an address without its password, for people to read."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def service_port(home: Home, variable: str, environment: Mapping[str, str]) -> int:
    """Return the port a service listens on: from its variable (0: any free one, remembered), else the default.

    Raises:
        LocalError: the port is taken or is not a number; the message names the variable to set.
    """
    named = environment.get(variable)
    try:
        port = int(named) if named else _DEFAULT_PORTS[variable]
    except ValueError:
        raise LocalError(f"{variable} is not a port number") from None
    if port == 0:
        return home.port(variable)
    if not is_port_free(port):
        raise LocalError(f"port {port} is taken: set {variable} to another port (0: any free one), or end what uses it")
    return port


def environment_of(name: str, home: Home, addresses: Addresses, url: str) -> dict[str, str]:
    """Return the environment of one process: the caller's `HARBOR_*` settings, overridden by what the stack decides.

    Args:
        name: of the process.
        home: keeps secrets and ports.
        addresses: of everything.
        url: PostgreSQL as this process's role.
    """
    defaults = {
        "HARBOR_SECURITY__API_KEY_PEPPER": home.secret("api_key_pepper"),
        "HARBOR_SECURITY__CURSOR_SECRET": home.secret("cursor_secret"),
        "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY": home.secret("webhook_secrets_key"),
        # So that a receiver on this machine can be tried; production refuses every private network.
        "HARBOR_WEBHOOKS__ALLOW_NETWORKS": LOOPBACK,
        # A restarted worker takes its partitions back without waiting for its old session to end.
        "HARBOR_WORKER__INSTANCE_ID": f"{name}-{home.kept.ports.get(f'{name}.ops', 0)}",
    }
    decided = {
        "HARBOR_POSTGRES__URL": url,
        "HARBOR_REDIS__URL": addresses.redis_url,
        "HARBOR_COMMAND_API__PORT": str(addresses.command_port),
        "HARBOR_QUERY_API__PORT": str(addresses.query_port),
        "HARBOR_PUBLIC__COMMAND_URL": addresses.command_api,
        "HARBOR_PUBLIC__QUERY_URL": addresses.query_api,
        "HARBOR_OPS__PORT": str(home.kept.ports.get(f"{name}.ops", 0)),
        "HARBOR_OPS__HOST": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
    }
    if hosts := os.environ.get(_HOSTS):  # whatever else it is: the stack itself, the demo and `up` name this one
        decided[_HOSTS] = f"{hosts},127.0.0.1"
    if addresses.bootstrap_servers:
        decided["HARBOR_KAFKA__BOOTSTRAP_SERVERS"] = addresses.bootstrap_servers
    else:
        defaults["HARBOR_WORKER__SOURCE"] = "store"
    inherited = {key: value for key, value in os.environ.items() if key != "HARBOR_KAFKA__BOOTSTRAP_SERVERS"}
    return defaults | inherited | decided


def environment_for(module: str, home: Home, facts: Json) -> dict[str, str]:
    """Return the environment in which `python -m MODULE`, run by hand, acts on the running stack.

    Args:
        module: decides the login: commands of a service have its rights and no more.
        home: loaded; keeps passwords and secrets.
        facts: content of `stack.json`.

    Raises:
        LocalError: another version wrote the facts.
    """
    try:
        ports = [int(str(facts[name]).rpartition(":")[2]) for name in ("command_api", "query_api")]
        admin_url, kafka = str(facts["postgres"]), facts["kafka"]
        addresses = Addresses(admin_url, str(facts["redis"]), str(kafka) if kafka else None, *ports)
    except (KeyError, ValueError) as error:
        raise LocalError(
            f"{home.stack_file} is not readable by this version: `{make_command('down')}`, then `{make_command('up')}`"
        ) from error
    role = _LOGINS.get(module, "harbor_worker_login")
    return environment_of("operator", home, addresses, role_url(admin_url, role, home.password(role)))
