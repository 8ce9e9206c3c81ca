"""Hold the lock of the log, or another, from outside, and see who waits for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from infra.postgres.connection import DedicatedConnection
from tests.support.services.servers import Database

LOCK_THE_LOG: Final = "SELECT pg_advisory_xact_lock(1212240466, 0)"
WAITING_FOR_THE_LOG: Final = """
SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""


@asynccontextmanager
async def holding(database: Database, *statements: str) -> AsyncIterator[DedicatedConnection]:
    """Yield a session in a transaction that holds the locks its statements take."""
    session = await asyncpg.connect(database.admin_url, server_settings={"deadlock_timeout": "1min"})
    try:
        async with session.transaction():
            for statement in statements:
                await session.execute(statement)
            yield session
    finally:
        await session.close()
