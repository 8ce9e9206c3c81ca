"""What only the query service refuses, and how errors of PostgreSQL become problems."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import asyncpg

from infra.event_store.protocol import StoreUnavailableError
from infra.http.problems import (
    STORE_UNAVAILABLE,
    VALIDATION_FAILED,
    FieldError,
    Problem,
    ProblemType,
)
from infra.http.query_string import PARAMETER_CODES
from infra.postgres.failures import AWAY

CONSISTENCY_TOKEN_INVALID: Final = ProblemType(
    "consistency_token_invalid",
    422,
    "Consistency token not valid",
    "Send the Consistency-Token of a command's answer unchanged.",
)
PROJECTION_LAGGING: Final = ProblemType(
    "projection_lagging",
    503,
    "Read model is behind",
    "The read model has not yet seen what the Consistency-Token stands for; try again.",
    retryable=True,
)
READ_MODELS_MISSING: Final = ProblemType(
    "read_models_missing", 503, "Read models missing", "The read models have not been made yet.", retryable=True
)

CATALOGUE: Final[tuple[ProblemType, ...]] = (
    CONSISTENCY_TOKEN_INVALID,
    PROJECTION_LAGGING,
    READ_MODELS_MISSING,
)
"""Codes of this service beside those of `infra.http.problems`. Append only."""

FIELD_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **PARAMETER_CODES,
        "status_invalid": "The status is not one that this list can be filtered by.",
        "endpoint_id_invalid": "The id is not of the form 019a8b5c-0000-7000-8000-000000000000.",
        "external_reference_invalid": "An external reference has 1 to 255 printable characters.",
        "timestamp_invalid": "Not an RFC 3339 instant such as 2026-11-23T01:02:03Z; write + as %2B.",
        "timestamp_without_offset": "The timestamp has no offset: add Z or one such as +01:00 (write + as %2B).",
    }
)
"""Codes inside the `errors` of a `validation_failed`: every refusal of a parameter takes its code from here."""


def parameter_error(name: str | None, code: str, detail: str = "") -> FieldError:
    """Return what is wrong with one query parameter, or with the query (None); the value is not repeated.

    Raises:
        KeyError: the code is not in `FIELD_CODES`.
    """
    meaning = FIELD_CODES[code]
    return FieldError("/query" if name is None else f"/query/{name}", code, detail or meaning)


def parameter_problem(name: str, code: str, detail: str = "") -> Problem:
    """Return the refusal of one query parameter, as `parameter_error`."""
    return Problem(VALIDATION_FAILED, errors=(parameter_error(name, code, detail),))


def translate(error: Exception) -> Problem | None:
    """Return the problem for an error of PostgreSQL or of the way to it; None: a mistake of ours."""
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.InsufficientPrivilegeError):
        return Problem(READ_MODELS_MISSING)
    return Problem(STORE_UNAVAILABLE) if isinstance(error, (*AWAY, StoreUnavailableError)) else None
