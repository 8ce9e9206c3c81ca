"""What a failure means: retry the batch, or find the record that is to blame."""

import asyncpg

from domain.errors import DomainError
from infra.postgres.failures import ANY_DATABASE_ERROR
from projections.projection import ProjectionError

MAX_ERROR_CHARS = 500

TRANSIENT = ANY_DATABASE_ERROR
"""What reaching PostgreSQL may raise. Ask `is_poison`: some of it is a record's fault."""

_OF_THE_RECORD = (
    asyncpg.DataError,  # 22: a value the column cannot hold
    asyncpg.IntegrityConstraintViolationError,  # 23: a constraint refuses it
    asyncpg.ProgramLimitExceededError,  # 54: too large for an index
)


class TooMuchPoisonError(Exception):
    """So many orders would be parked that the projection must be to blame; nothing was written."""

    def __init__(self, projection: str, most: int, cause: str) -> None:
        super().__init__(
            f"projection {projection} fails with more than {most} orders within an hour, last with {cause}: fix it and "
            "restart the worker, or raise HARBOR_WORKER__MAX_POISON_ORDERS to park them all"
        )


def is_poison(error: Exception) -> bool:
    """Return whether a record is to blame, so that a retry cannot help.

    A missing table or privilege, a lost connection, a full disk or memory is not the record's fault: the batch waits.
    A programming error looks like a poisoned record; that it hits many orders tells them apart (`TooMuchPoisonError`).
    """
    return isinstance(error, _OF_THE_RECORD) or not isinstance(error, (*TRANSIENT, MemoryError, TooMuchPoisonError))


def describe(error: Exception) -> str:
    """Return a failure's class and code, never its content: messages may quote what they refuse."""
    name = type(error).__name__
    if isinstance(error, ProjectionError | DomainError):
        return f"{name}: {error}"[:MAX_ERROR_CHARS]
    if isinstance(error, asyncpg.PostgresError):
        return f"{name} ({error.sqlstate})"
    return name
