"""What a later release does to a currency: ISO has withdrawn it, and orders of earlier times are priced in it."""

from collections.abc import Iterator
from contextlib import contextmanager

from domain import money


@contextmanager
def withdrawn(code: str) -> Iterator[None]:
    """Take a currency out of the active ones while the context is open, as if it had moved into `RETIRED`."""
    known = money._CURRENCIES.pop(code)
    try:
        yield
    finally:
        money._CURRENCIES[code] = known
