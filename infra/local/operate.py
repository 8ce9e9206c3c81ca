"""One of our commands, run by hand beside the running stack: with the login and the settings its processes have."""

from collections.abc import Mapping
from types import MappingProxyType

from infra.local.addresses import Addresses, environment_of, role_url
from infra.local.home import Home, HomeError, Json, make_command

# module -> login role of its commands; a module that is not here runs as the workers do
_LOGINS: Mapping[str, str] = MappingProxyType(
    {"command_api": "harbor_command_login", "query_api": "harbor_query_login"}
)
_WORKER = "harbor_worker_login"
_OPERATOR = "operator"


def environment_for(module: str, home: Home, facts: Json) -> dict[str, str]:
    """Return the environment in which `python -m MODULE` acts on the running stack.

    Args:
        module: decides the login: commands of a service have its rights and no more.
        home: loaded; keeps passwords and secrets.
        facts: content of `stack.json`.

    Raises:
        HomeError: the facts are another version's.
    """
    try:
        admin_url, kafka = str(facts["postgres"]), facts["kafka"]
        addresses = Addresses(
            admin_url,
            str(facts["redis"]),
            str(kafka) if kafka else None,
            _port(facts["command_api"]),
            _port(facts["query_api"]),
        )
    except (KeyError, ValueError) as error:
        raise HomeError(
            f"{home.stack_file} is not readable by this version: `{make_command('down')}`, then `{make_command('up')}`"
        ) from error
    role = _LOGINS.get(module, _WORKER)
    return environment_of(_OPERATOR, home, addresses, role_url(admin_url, role, home.password(role)))


def _port(address: object) -> int:
    return int(str(address).rpartition(":")[2])
