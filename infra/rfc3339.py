"""Instants as clients write them: RFC 3339 with an offset, in ASCII digits, up to the microsecond. Pure."""

import re
from datetime import UTC, datetime
from typing import Final

_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_NAIVE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.]+)?", re.ASCII)


class NaiveInstantError(ValueError):
    """A date or time without an offset: nobody can say when that is."""


def parse(text: str) -> datetime:
    """Return an instant in UTC.

    >>> parse("2026-11-23T02:02:03+01:00")
    datetime.datetime(2026, 11, 23, 1, 2, 3, tzinfo=datetime.timezone.utc)

    Raises:
        NaiveInstantError: the offset is missing.
        ValueError: anything else that is wrong with it, a day there is not and a year beyond 9999 in UTC included.
    """
    if not _INSTANT.fullmatch(text):
        if _NAIVE.fullmatch(text):
            raise NaiveInstantError("an instant has an offset")
        raise ValueError("an instant is written as RFC 3339 says")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("the instant is out of range") from None
