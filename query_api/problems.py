"""What only the query service refuses, and how errors of PostgreSQL become problems."""

from typing import Final

import asyncpg

from infra.events import StoreUnavailableError
from infra.http.problems import STORE_UNAVAILABLE, VALIDATION_FAILED, FieldError, Problem, ProblemType
from infra.postgres.failures import AWAY

CURSOR_INVALID: Final = ProblemType(
    "cursor_invalid", 422, "Cursor not valid", "The cursor is not one that this list gave for these filters."
)
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
    CURSOR_INVALID,
    CONSISTENCY_TOKEN_INVALID,
    PROJECTION_LAGGING,
    READ_MODELS_MISSING,
)
"""Codes of this service beside those of `infra.http.problems`. Append only."""


def parameter_problem(name: str, code: str, detail: str) -> Problem:
    """Give the refusal of one query parameter; the value is not repeated."""
    return Problem(VALIDATION_FAILED, errors=(FieldError(f"/query/{name}", code, detail),))


def translate(error: Exception) -> Problem | None:
    """Give the problem for an error of PostgreSQL or of the way to it; None: a mistake of ours."""
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.InsufficientPrivilegeError):
        return Problem(READ_MODELS_MISSING)
    return Problem(STORE_UNAVAILABLE) if isinstance(error, (*AWAY, StoreUnavailableError)) else None
