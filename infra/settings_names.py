"""Every variable an installation knows, and which variables of an environment are mistyped.

A variable that nothing reads changes nothing, in silence: whoever set it believes otherwise. So each process and
command says at its start which variables it does not know, with the nearest name that exists; never with a value.
"""

import re
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from infra.settings import ALL_SETTINGS

OTHER_NAMES: Final = frozenset(
    {
        "HARBOR_HOME",  # the local stack
        "HARBOR_ADMIN_PASSWORD",  # docker-compose.yml
        "HARBOR_API_KEY",  # clients and applications that read the log, from here on
        "HARBOR_TENANT",
        "HARBOR_CALL_TIMEOUT_S",
        "HARBOR_COMMAND_URL",
        "HARBOR_QUERY_URL",
    }
)
"""What is no setting of a process."""

# What Kubernetes and Docker links add for services that are named after ours.
_OF_THE_PLATFORM: Final = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)")
_PREFIXES: Final = ("HARBOR_", "HARBOUR_")
_LIKE: Final = 0.75
_LIKE_OURS: Final = 0.85


def known_names() -> frozenset[str]:
    """Return every variable that some process or command of an installation reads."""
    settings = {
        f"{kind.model_config.get('env_prefix', '')}{name}".upper()
        for kind in ALL_SETTINGS
        for name in kind.model_fields
    }
    return OTHER_NAMES | settings


def mistyped(environment: Mapping[str, str]) -> list[str]:
    """Return one line for each variable that looks like a setting and is none; no line shows a value."""
    known = known_names()
    lines = []
    for variable in sorted(environment):
        name = variable.upper()  # settings are read in any case
        is_ours = name.startswith(_PREFIXES)
        if name in known or not (is_ours or "__" in name) or _is_of_the_platform(name, environment[variable]):
            continue
        nearest = get_close_matches(name, known, n=1, cutoff=_LIKE if is_ours else _LIKE_OURS)
        if nearest:
            lines.append(f"{variable} is not a setting and changes nothing: did you mean {nearest[0]}?")
        elif is_ours:
            lines.append(f"{variable} is not a setting and changes nothing (all settings: docs/settings.md)")
    return lines


def warn_of_mistyped(environment: Mapping[str, str]) -> None:
    """Write the lines of `mistyped` to standard error: for commands; a process logs them (`runtime.begin`)."""
    for line in mistyped(environment):
        sys.stderr.write(f"warning: {line}\n")


def _is_of_the_platform(name: str, value: str) -> bool:
    return bool(_OF_THE_PLATFORM.search(name)) or (name.endswith("_PORT") and "://" in value)
