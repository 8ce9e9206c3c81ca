"""What a failure of PostgreSQL means in the library's words (its PEP 249 tree).

PersistenceError
├── IntegrityError    somebody else was first: reload and decide again
├── DataError         the store cannot hold this value, ever
├── ProgrammingError  this login, schema or call is wrong
├── InterfaceError    the factory was closed
├── InternalError     the log has a hole
└── OperationalError  PostgreSQL cannot be reached or was too slow; the outcome of a write is unknown
"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from eventsourcing.persistence import DataError, IntegrityError, OperationalError, ProgrammingError

from infra.postgres.migrate import MigrationError
from infra.postgres.pool import DangerousSettingsError, SchemaBehindError

_UNFIT = (DangerousSettingsError, SchemaBehindError, MigrationError, asyncpg.SyntaxOrAccessError)
_NO_PARTITION = "no partition"

OUTCOME_UNKNOWN = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,  # the connection was closed under the call
    asyncpg.InternalClientError,  # the same, a moment earlier
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
"""After one of these a write may have been committed; sending the same keys again shows it."""


@contextmanager
def in_library_words() -> Iterator[None]:
    """Turn what asyncpg and our pool raise into what callers of the library expect."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise IntegrityError(str(error)) from error
    except asyncpg.IntegrityConstraintViolationError as error:
        if _NO_PARTITION in str(error):  # for weeks nobody ran the services, which make partitions ahead
            raise OperationalError(str(error)) from error
        raise DataError(str(error)) from error
    except (asyncpg.DataError, UnicodeError, OverflowError) as error:
        raise DataError(str(error)) from error
    except _UNFIT as error:
        raise ProgrammingError(str(error)) from error
    except (*OUTCOME_UNKNOWN, asyncpg.PostgresError) as error:
        raise OperationalError(str(error) or type(error).__name__) from error
