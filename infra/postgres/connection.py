"""The types of asyncpg's connections, for annotations."""

from typing import TYPE_CHECKING, TypeAlias

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    DedicatedConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    Connection: TypeAlias = DedicatedConnection | PoolConnectionProxy[asyncpg.Record]
else:  # at run time asyncpg's classes take no parameters
    DedicatedConnection = Connection = asyncpg.Connection

__all__ = ("Connection", "DedicatedConnection")
