"""What asyncpg and the network raise, in the three groups that callers distinguish. Each contains the one before.

`TimeoutError` is an `OSError`, and so is `DangerousSettingsError`: a connection that must not be used counts as lost.
"""

from typing import Final

import asyncpg

from infra.retry_loop import Cause

CONNECTION_LOST: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the backend was terminated just as the next statement began
    asyncpg.PostgresConnectionError,
)
"""The connection is lost; what was under way on it may have been done."""

UNAVAILABLE: Final = (
    *CONNECTION_LOST,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, statement canceled
    asyncpg.InsufficientResourcesError,  # out of connections, memory or disk
    asyncpg.InvalidAuthorizationSpecificationError,  # the login was locked or its password changed
    asyncpg.InvalidCatalogNameError,  # the database is being restored
    asyncpg.ObjectNotInPrerequisiteStateError,  # the database takes no connections
)
"""PostgreSQL does not serve now: the response is 503, and the same request may succeed later."""

NO_CONNECTION_LEFT: Final = Cause(asyncpg.TooManyConnectionsError, "connections_exhausted", or_below=True)
"""Why a process waits while others hold all connections; stands before the causes of other database errors."""

ANY_DATABASE_ERROR: Final = (*CONNECTION_LOST, asyncpg.PostgresError)
"""Everything a statement may raise: for work that tries again until it succeeds."""
