"""Where the stack's servers and services are, and the environment that tells each process."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from infra.local.home import Home
from infra.local.processes.launch import is_port_free

LOOPBACK = "127.0.0.0/8,::1/128"
DATABASE = "harbor"
_DEFAULT_PORTS = {"HARBOR_COMMAND_API__PORT": 8000, "HARBOR_QUERY_API__PORT": 8001}


class AddressError(Exception):
    """An address cannot be used; the message names the variable to set."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Everything a process of the stack has to know about the others.

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
    """Return the port a service shall listen on: from its variable (0: any, remembered), else the default.

    Raises:
        AddressError: the port is taken, or is no port; names the variable to set.
    """
    named = environment.get(variable)
    try:
        port = int(named) if named else _DEFAULT_PORTS[variable]
    except ValueError:
        raise AddressError(f"{variable} is not a port number") from None
    if port == 0:
        return home.port(variable)
    if not is_port_free(port):
        raise AddressError(
            f"port {port} is taken: set {variable} to another port (0: any free one), or end what uses it"
        )
    return port


def environment_of(name: str, home: Home, addresses: Addresses, url: str) -> dict[str, str]:
    """Return the environment of one process: the caller's own `HARBOR_*` settings, and on top what the stack decides.

    Args:
        name: of the process.
        home: keeps secrets and ports.
        addresses: of everything.
        url: PostgreSQL as this process' role.
    """
    defaults = {
        "HARBOR_SECURITY__API_KEY_PEPPER": home.secret("api_key_pepper"),
        "HARBOR_SECURITY__CURSOR_SECRET": home.secret("cursor_secret"),
        "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY": home.secret("webhook_secrets_key"),
        # Endpoints on this machine, so that a receiver can be tried; production refuses every private network.
        "HARBOR_WEBHOOKS__ALLOW_NETWORKS": LOOPBACK,
        # A worker that died and was started again takes its partitions back without waiting for its old session to end.
        "HARBOR_WORKER__INSTANCE_ID": f"{name}-{home.kept.ports.get(f'{name}.ops', 0)}",
    }
    decided = {
        "HARBOR_POSTGRES__URL": url,
        "HARBOR_REDIS__URL": addresses.redis_url,
        "HARBOR_COMMAND_API__PORT": str(addresses.command_port),
        "HARBOR_QUERY_API__PORT": str(addresses.query_port),
        "HARBOR_OPS__PORT": str(home.kept.ports.get(f"{name}.ops", 0)),
        "HARBOR_OPS__HOST": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
    }
    if addresses.bootstrap_servers:
        decided["HARBOR_KAFKA__BOOTSTRAP_SERVERS"] = addresses.bootstrap_servers
    else:
        defaults["HARBOR_WORKER__SOURCE"] = "store"
    inherited = {key: value for key, value in os.environ.items() if key != "HARBOR_KAFKA__BOOTSTRAP_SERVERS"}
    return defaults | inherited | decided
