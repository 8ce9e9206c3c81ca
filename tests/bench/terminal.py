"""Tables on a terminal."""

from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from tests.bench.tables import Table

WIDTH_OF_FILES: Final = 160
"""Columns of an output that is no terminal."""


def show(console: Console, table: Table) -> None:
    """Print a table."""
    shown = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(table.columns):
        is_text = number < table.texts
        shown.add_column(column, justify="left" if is_text else "right", no_wrap=True)
    for row in table.rows:
        shown.add_row(*(cell.replace("**", "").replace("`", "") for cell in row))
    console.print(shown)
