"""Rows as arrays, one per column: how a batch of any size is written in one statement."""

from collections.abc import Sequence

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

Row = tuple[object, ...]


def insert_from_arrays(table: Table) -> str:
    """Give `INSERT INTO table (...) SELECT * FROM unnest($1::uuid[], ...)`: argument n is the array of column n."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    names = ", ".join(column.name for column in table.columns)
    arrays = ", ".join(
        f"${place}::{column.type.compile(dialect=dialect)}[]" for place, column in enumerate(table.columns, 1)
    )
    return f"INSERT INTO {table.fullname} ({names})\nSELECT * FROM unnest({arrays})"


def as_arrays(rows: Sequence[Row]) -> list[list[object]]:
    """Turn rows into one list per column."""
    return [list(column) for column in zip(*rows, strict=True)]
