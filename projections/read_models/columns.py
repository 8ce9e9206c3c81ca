"""Insert any number of rows of a read model in one statement, as an array of the table's row type."""

from sqlalchemy import Table

Row = tuple[object, ...]
"""Values in the order of the table's columns."""


def insert_rows(table: Table) -> str:
    """Return `INSERT INTO table (...) SELECT ... FROM unnest($1::table[])`: $1 is the list of rows.

    One array of rows, not one per column: asyncpg inspects every element of an array before it encodes it.
    """
    names = ", ".join(column.name for column in table.columns)
    return f"INSERT INTO {table.fullname} ({names})\nSELECT {names} FROM unnest($1::{table.fullname}[])"
