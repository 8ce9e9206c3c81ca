"""Make the read-model tables that are missing: `python -m projections create-tables`, and every worker at its start.

Tables are never altered: another shape is another version with another name. Everything is created as `harbor_worker`,
whoever is logged in, so that tables have one owner and the query service may read them.
"""

from collections.abc import Iterator

import asyncpg
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement, SetColumnComment

from infra.postgres.connection import Connection
from projections.tables import metadata

_LOCK = 0x72656164  # "read": any number works as long as everybody who creates tables takes the same
_EXISTING = "SELECT tablename FROM pg_tables WHERE schemaname = $1"


async def create_tables(connection: Connection) -> list[str]:
    """Create what is missing, in one transaction, and give the names created; safe to call at once from anywhere.

    `connection` belongs to the worker's role, or to an admin who may set it.
    """
    wanted = metadata.sorted_tables
    if not _missing(wanted, await connection.fetch(_EXISTING, metadata.schema)):
        return []
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        missing = _missing(wanted, await connection.fetch(_EXISTING, metadata.schema))
        await connection.execute("SET LOCAL ROLE harbor_worker")
        for table in missing:
            for statement in definition(table):
                await connection.execute(statement)
    return [table.name for table in missing]


def definition(table: Table) -> Iterator[str]:
    """Return the statements that make one table: itself, its indexes, its columns' comments, and who may read it."""
    elements: list[ExecutableDDLElement] = [CreateTable(table)]
    elements += [CreateIndex(index) for index in sorted(table.indexes, key=lambda index: str(index.name))]
    elements += [SetColumnComment(column) for column in table.columns if column.comment]
    for element in elements:
        yield str(element.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    yield f"GRANT SELECT ON {table.fullname} TO harbor_query"


def _missing(wanted: list[Table], existing: list[asyncpg.Record]) -> list[Table]:
    names = {row["tablename"] for row in existing}
    return [table for table in wanted if table.name not in names]
