"""What a failure means: try the batch again, or find the record that is to blame."""

import asyncpg

from domain.errors import DomainError
from infra.postgres.failures import UNREACHABLE
from projections.projection import ProjectionError

MAX_ERROR_CHARS = 500

TRANSIENT = UNREACHABLE
"""What reaching PostgreSQL may raise. Ask `is_poison`: some of it is a record's fault."""

_OF_THE_RECORD = (
    asyncpg.DataError,  # 22: a value the column cannot hold
    asyncpg.IntegrityConstraintViolationError,  # 23: a constraint says no
    asyncpg.ProgramLimitExceededError,  # 54: too large for an index
)


def is_poison(error: Exception) -> bool:
    """Whether a record is to blame, so that trying again cannot help.

    A missing table or privilege, a lost connection or a full disk is not the record's fault: the batch waits.
    """
    return isinstance(error, _OF_THE_RECORD) or not isinstance(error, TRANSIENT)


def describe(error: Exception) -> str:
    """Name a failure by class and code, never by content: messages may quote what they refuse."""
    name = type(error).__name__
    if isinstance(error, ProjectionError | DomainError):
        return f"{name}: {error}"[:MAX_ERROR_CHARS]
    if isinstance(error, asyncpg.PostgresError):
        return f"{name} ({error.sqlstate})"
    return name
