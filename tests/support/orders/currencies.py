"""Currencies for tests: one of each number of digits, and one that a later release has withdrawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from domain import money
from domain.currencies import EXPONENTS

ONE_OF_EACH: Final = tuple({exponent: code for code, exponent in EXPONENTS.items()}.values())
"""A currency for each number of digits: the code of a currency decides nothing else."""


@contextmanager
def withdrawn(code: str) -> Iterator[None]:
    """Remove a currency from the active ones while the context is open, as if it had moved into `RETIRED`."""
    known = money._CURRENCIES.pop(code)
    try:
        yield
    finally:
        money._CURRENCIES[code] = known
