"""What only the query service refuses, and how errors of PostgreSQL become problems."""

from collections.abc import Mapping
from typing import Final

import asyncpg
from pydantic import WrapValidator

from infra.http import validation
from infra.http.problems import EVERY_ROUTE, STORE_UNAVAILABLE, Problem, ProblemType
from infra.http.query_string import PARAMETER_CODES
from infra.http.server.raw_route import NOT_TAKEN_CODES
from infra.postgres.failures import UNAVAILABLE

CATALOGUE: Final[tuple[ProblemType, ...]] = (
    CONSISTENCY_TOKEN_INVALID := ProblemType(
        "consistency_token_invalid",
        422,
        "Consistency token not valid",
        "Send the Consistency-Token of a command's response unchanged.",
    ),
    PROJECTION_LAGGING := ProblemType(
        "projection_lagging",
        503,
        "Read model is behind",
        "The read model has not yet seen what the Consistency-Token stands for; try again.",
        retryable=True,
    ),
    IF_NONE_MATCH_MALFORMED := ProblemType(
        "if_none_match_malformed",
        400,
        "If-None-Match malformed",
        'Send ETags that you got, unchanged and with their quotes: "1", or "1", "2"; or *.',
    ),
    READ_MODELS_MISSING := ProblemType(
        "read_models_missing", 503, "Read models missing", "The read models have not been created yet.", retryable=True
    ),
)
"""Codes of this service beside those of `infra.http.problems`. Append only."""

EVERY_READ: Final = (*EVERY_ROUTE, CONSISTENCY_TOKEN_INVALID, PROJECTION_LAGGING, READ_MODELS_MISSING)
"""The problems of every route of this service."""

FIELD_CODES: Final[Mapping[str, str]] = {
    **PARAMETER_CODES,
    **NOT_TAKEN_CODES,
    "status_invalid": "The status is not one that this list can be filtered by.",
    "endpoint_id_invalid": "The id is not of the form 019a8b5c-0000-7000-8000-000000000000.",
    "external_reference_invalid": "An external reference has 1 to 128 characters, none of them invisible.",
    "timestamp_invalid": "Not an RFC 3339 instant such as 2026-11-23T01:02:03Z (write + as %2B), or one that is not "
    "kept: a leap second, or a year beyond 9999 in UTC.",
    "timestamp_without_offset": "The timestamp has no offset: add Z or one such as +01:00 (write + as %2B).",
    "timestamp_without_time": "A date alone is no instant: add a time and an offset, such as 2026-11-23T00:00:00Z.",
    "range_reversed": "The range ends before it begins: created_from is later than created_to.",
}
"""Codes inside the `errors` of a `validation_failed`: every refusal of a parameter takes its code from here."""


def refused_as(code: str) -> WrapValidator:
    """Return the mark, for an annotation, of a parameter that is refused with this code.

    Raises:
        KeyError: the code is not in `FIELD_CODES`.
    """
    return validation.refused_as(code, FIELD_CODES[code])


def translate(error: Exception) -> Problem | None:
    """Return the problem for an error of PostgreSQL or of the way to it; None: a bug."""
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.InsufficientPrivilegeError):
        return Problem(READ_MODELS_MISSING)
    return Problem(STORE_UNAVAILABLE) if isinstance(error, UNAVAILABLE) else None
