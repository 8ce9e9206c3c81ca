"""What a failure to use PostgreSQL means, and what to do next: one line, without a value of a setting."""

import socket
from typing import Final

import asyncpg

from infra.observability.reasons import reason_of
from infra.postgres.failures import CONNECTION_LOST

_NEXT: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (
        asyncpg.InvalidCatalogNameError,
        "create it (CREATE DATABASE), then run python -m infra.postgres.migrate, or correct HARBOR_POSTGRES__URL",
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "correct user and password in HARBOR_POSTGRES__URL, or run python -m infra.postgres.login_roles again",
    ),
    (
        (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.UndefinedObjectError),
        "run python -m infra.postgres.migrate",
    ),
    (
        asyncpg.InsufficientPrivilegeError,
        "HARBOR_POSTGRES__URL must name a role that may do this; migrating needs one that may create roles",
    ),
    (asyncpg.TooManyConnectionsError, "end sessions of others, or raise max_connections of the server"),
    (asyncpg.PostgresError, "PostgreSQL refuses; its log may say more"),
    (socket.gaierror, "nobody knows the host in HARBOR_POSTGRES__URL: correct it"),
    (CONNECTION_LOST, "PostgreSQL cannot be reached: is it up, and are host and port in HARBOR_POSTGRES__URL right?"),
)
"""What to do after an error of these types; the first that fits counts."""


def advice(error: Exception) -> str:
    """Return what is wrong and the next step."""
    said = next(iter(str(error).splitlines()), "") or reason_of(error)  # further lines may quote a row
    if type(error).__module__.startswith("infra."):
        return said  # our own errors say it themselves
    if "SSL upgrade" in said:
        return "what answers at the host and port in HARBOR_POSTGRES__URL is not PostgreSQL: correct them"
    return next((f"{said}: {step}" for types, step in _NEXT if isinstance(error, types)), said)
