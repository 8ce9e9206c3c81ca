"""Instants: aware datetimes in UTC, written as RFC 3339 with exactly six digits and `Z`, so texts sort as times do."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import orjson
from pydantic import AfterValidator, PlainSerializer, WithJsonSchema

_NO_OFFSET = timedelta(0)


def instant_text(instant: datetime) -> str:
    """Return an instant in UTC as text.

    >>> instant_text(datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC))
    '2026-11-23T01:02:03.000000Z'
    """
    if instant.microsecond:
        # Three times as fast as isoformat, and every order holds several; it leaves out a fraction that is zero.
        return orjson.dumps(instant, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return instant.isoformat(timespec="microseconds")[:-6] + "Z"


def parse_instant(text: str) -> datetime:
    """Read what `instant_text` wrote.

    Raises:
        ValueError: another form.
    """
    instant = datetime.fromisoformat(text)
    if instant_text(instant) != text:
        raise ValueError("an instant has six digits after the second and ends with Z")
    return instant


def in_utc(instant: datetime) -> datetime:
    """Return the same instant with the standard library's UTC.

    Raises:
        ValueError: naive, or another offset than zero.
    """
    if instant.tzinfo is UTC:
        return instant
    if instant.utcoffset() != _NO_OFFSET:
        raise ValueError("an instant is aware and in UTC")
    return instant.replace(tzinfo=UTC)


Instant = Annotated[
    datetime,
    AfterValidator(in_utc),
    PlainSerializer(instant_text, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$",
            "examples": ["2026-11-23T01:02:03.123456Z"],
        }
    ),
]
"""A pydantic field that holds an instant."""
