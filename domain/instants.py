"""Instants: aware datetimes in UTC. We write them as RFC 3339 with exactly six digits and `Z`, so texts sort by time.

Clients may write any offset, a space in place of the `T`, and any number of digits: what is beyond microseconds is cut.
A date alone, a time without an offset, second 60 and hour 24 name no instant here.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import orjson
from pydantic import AfterValidator, PlainSerializer, WithJsonSchema

_NO_OFFSET: Final = timedelta(0)
_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME: Final = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
_INSTANT: Final = re.compile(rf"{_DATE}[Tt ]{_TIME}(?:[Zz]|[+-][0-9]{{2}}:[0-9]{{2}})", re.ASCII)
_DATE_ALONE: Final = re.compile(_DATE, re.ASCII)
_NAIVE: Final = re.compile(rf"{_DATE}[Tt ]{_TIME}", re.ASCII)
_LOST_PLUS: Final = re.compile(rf"{_DATE}[Tt ]{_TIME} [0-9]{{2}}:?[0-9]{{2}}", re.ASCII)
_HOUR_24: Final = re.compile(rf"{_DATE}[Tt ]24", re.ASCII)
_SECOND_60: Final = re.compile(rf"{_DATE}[Tt ][0-9]{{2}}:[0-9]{{2}}:60", re.ASCII)


class InstantError(ValueError):
    """A text that names no instant. The message says why in a sentence, without the text."""


class NaiveInstantError(InstantError):
    """A time without an offset: it does not name an instant."""


class DateAloneError(InstantError):
    """A date without a time: it does not name an instant."""


def instant_text(instant: datetime) -> str:
    """Return an instant in UTC as text.

    >>> instant_text(datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC))
    '2026-11-23T01:02:03.000000Z'
    """
    if instant.microsecond:
        # Three times as fast as isoformat, and every order has several instants; it omits a fraction that is zero.
        return orjson.dumps(instant, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return instant.isoformat(timespec="microseconds")[:-6] + "Z"


def optional_instant_text(instant: datetime | None) -> str | None:
    """Return None for None, else as `instant_text`."""
    return None if instant is None else instant_text(instant)


def parse_instant(text: str) -> datetime:
    """Return an instant in UTC from RFC 3339 text with any offset.

    >>> parse_instant("2026-11-23T02:02:03+01:00")
    datetime.datetime(2026, 11, 23, 1, 2, 3, tzinfo=datetime.timezone.utc)

    Raises:
        NaiveInstantError: the offset is missing.
        DateAloneError: so is the time.
        InstantError: it is no instant: another form, a day or time that does not exist, or a year beyond 9999 in UTC.
    """
    if not _INSTANT.fullmatch(text):
        raise _form_error(text)
    if text[11:13] == "24" or (text[-3] == ":" and text[-2:] > "59"):  # some versions of Python take them
        raise _no_such_time(text)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise InstantError("The instant is out of range: in UTC its year is 1 to 9999.") from None
    except ValueError:
        raise _no_such_time(text) from None


def in_utc(instant: datetime) -> datetime:
    """Return the same instant with the standard library's UTC.

    Raises:
        ValueError: it is naive or not in UTC.
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


def _form_error(text: str) -> InstantError:
    if _DATE_ALONE.fullmatch(text):
        return DateAloneError("A date alone is no instant: add a time and an offset, such as 2026-11-23T00:00:00Z.")
    if _NAIVE.fullmatch(text):
        return NaiveInstantError("The time has no offset: add Z or one such as +01:00.")
    if _LOST_PLUS.fullmatch(text):
        return InstantError("The + of the offset arrived as a space: write it as %2B in an address.")
    return InstantError("Not an RFC 3339 instant such as 2026-11-23T01:02:03Z or 2026-11-23T02:02:03+01:00.")


def _no_such_time(text: str) -> InstantError:
    if _HOUR_24.match(text):
        return InstantError("The last hour of a day is 23: write hour 24 as 00:00:00 of the next day.")
    if _SECOND_60.match(text):
        return InstantError("The last second of a minute is 59: leap seconds are not kept.")
    return InstantError("There is no such day, time or offset.")
