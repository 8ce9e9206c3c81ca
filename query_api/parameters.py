"""Query strings, read strictly: unknown, repeated and malformed parameters are refused, nothing is guessed.

A reader of parameters gives its value or raises a 422 that names the parameter and never repeats what was sent.
"""

import re
import unicodedata
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl
from uuid import UUID

from infra.http.problems import VALIDATION_FAILED, FieldError, Problem
from infra.ids import parse_uuid
from query_api.problems import parameter_error, parameter_problem

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
MAX_REFERENCE: Final = 255
MAX_QUERY_BYTES: Final = 4096
_MAX_FIELDS: Final = 20

ORDER_STATUSES: Final = (
    "pending",
    "authorized",
    "partially_captured",
    "captured",
    "settled",
    "canceled",
    "expired",
)
DELIVERY_STATUSES: Final = ("pending", "delivered", "dead", "discarded")

_LIMIT: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_NAIVE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one request, each at most once, all of them known to the route."""

    values: dict[str, str]

    def limit(self) -> int:
        """Give `limit`, 1 to 200, default 50."""
        text = self.values.get("limit")
        if text is None:
            return DEFAULT_LIMIT
        if not _LIMIT.fullmatch(text) or int(text) > MAX_LIMIT:
            raise parameter_problem("limit", "limit_invalid")
        return int(text)

    def choice(self, name: str, allowed: tuple[str, ...]) -> str | None:
        """Give a parameter that is one of a few words."""
        text = self.values.get(name)
        if text is not None and text not in allowed:
            raise parameter_problem(name, f"{name}_invalid", f"One of: {', '.join(allowed)}.")
        return text

    def instant(self, name: str) -> datetime | None:
        """Give an RFC 3339 instant with an offset, in UTC."""
        text = self.values.get(name)
        if text is None:
            return None
        if not _INSTANT.fullmatch(text):
            if _NAIVE.fullmatch(text):
                raise parameter_problem(name, "timestamp_without_offset")
            raise parameter_problem(name, "timestamp_invalid")
        try:
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise parameter_problem(name, "timestamp_invalid") from None

    def text(self, name: str, longest: int) -> str | None:
        """Give a text of 1 to `longest` printable characters, in NFC as every text is kept."""
        text = self.values.get(name)
        if text is None:
            return None
        if not 1 <= len(text) <= longest or not text.isprintable():
            raise parameter_problem(name, f"{name}_invalid")
        return unicodedata.normalize("NFC", text)

    def uuid(self, name: str) -> UUID | None:
        """Give an id in its canonical lower-case form."""
        text = self.values.get(name)
        if text is None:
            return None
        found = parse_uuid(text)
        if found is None:
            raise parameter_problem(name, f"{name}_invalid")
        return found


def read_parameters(query_string: bytes, known: AbstractSet[str]) -> Parameters:
    """Read a raw query string.

    Raises:
        Problem: 422; not UTF-8, too long, or a parameter that is unknown, repeated or empty (all named at once).
    """
    if not query_string:
        return Parameters({})
    if len(query_string) > MAX_QUERY_BYTES:
        raise Problem(VALIDATION_FAILED, f"The query string is longer than {MAX_QUERY_BYTES} bytes.")
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise Problem(VALIDATION_FAILED, "The query string is not percent-encoded UTF-8.") from None
    values: dict[str, str] = {}
    errors: list[FieldError] = []
    for name, value in pairs:
        if name not in known:
            detail = f"This address takes: {', '.join(sorted(known)) or 'no parameters'}."
            errors.append(parameter_error(None, "parameter_unknown", detail))
        elif name in values:
            errors.append(parameter_error(name, "parameter_repeated"))
        elif not value:
            errors.append(parameter_error(name, "parameter_empty"))
        else:
            values[name] = value
    if errors:
        raise Problem(VALIDATION_FAILED, errors=tuple(errors))
    return Parameters(values)
