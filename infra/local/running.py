"""What is known of the stack that runs: its facts, its secrets, and how it differs from one started now."""

import json
from collections.abc import Mapping

import psutil

from infra.local.errors import LocalError
from infra.local.home import SECRETS, Home, Json, nothing_runs
from infra.local.processes import orphans

_PORTS = {"HARBOR_COMMAND_API__PORT": "command_api", "HARBOR_QUERY_API__PORT": "query_api"}
_ANY = "0"


def facts_of(home: Home) -> Json:
    """Return the content of `stack.json`.

    Raises:
        LocalError: nothing runs.
    """
    try:
        facts: Json = json.loads(home.stack_file.read_text())
    except OSError:
        raise LocalError(nothing_runs()) from None
    return facts


def differences(home: Home, broker: str, environment: Mapping[str, str]) -> list[str]:
    """Return one line for each setting of `environment` that the running stack does not have; never with a value.

    Args:
        home: of the stack that runs.
        broker: the choice for a new one: `auto` goes with any.
        environment: of this process; what it does not set goes with anything.
    """
    try:
        facts: Json = json.loads(home.stack_file.read_text())
        supervisor = orphans.supervisor_of(home.run_file)
        there = supervisor.environ() if supervisor else {}
    except (OSError, ValueError, psutil.Error):  # it is only just starting
        return []
    lines = []
    for variable, wanted in sorted(environment.items()):
        if not variable.startswith("HARBOR_") or variable == "HARBOR_HOME" or wanted == there.get(variable, ""):
            continue
        if variable not in _PORTS:
            lines.append(f"it runs with another {variable}")
        elif (port := str(facts.get(_PORTS[variable])).rpartition(":")[2]) != wanted and wanted != _ANY:
            lines.append(f"it runs with {variable}={port}, not {wanted}")
    if broker == "kafka" and not facts.get("kafka"):
        lines.append("it runs without a broker, not with BROKER=kafka")
    if broker == "none" and facts.get("kafka"):
        lines.append("it runs with a broker, not with BROKER=none")
    return lines


def environment_of_stack(home: Home) -> Mapping[str, str]:
    """Return the environment of the supervisor: not that of this shell decides which secrets the stack has."""
    supervisor = orphans.supervisor_of(home.run_file)
    try:
        return supervisor.environ() if supervisor else {}
    except psutil.Error as error:
        raise LocalError(f"the stack belongs to somebody else ({error}): run this as that account") from None


def secrets_of_stack(home: Home) -> dict[str, str]:
    """Return the variables of the secrets that the running stack has, whatever this shell says of them."""
    found = home.secrets_in(environment_of_stack(home))
    return {SECRETS[name]: secret for name, secret in found.items()}
