"""Query strings, read strictly: unknown, repeated and malformed parameters are refused, nothing is guessed.

A reader of parameters gives its value or raises a 422 that names the parameter and never repeats what was sent.
"""

import unicodedata
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from domain.instants import NaiveInstantError, parse_instant
from infra.http.query_string import DEFAULT_LIMIT, MAX_LIMIT, read_limit, read_values
from infra.ids import parse_uuid
from query_api.problems import parameter_problem

__all__ = [
    "DEFAULT_LIMIT",
    "DELIVERY_STATUSES",
    "MAX_LIMIT",
    "MAX_REFERENCE",
    "ORDER_STATUSES",
    "Parameters",
    "read_parameters",
]

MAX_REFERENCE: Final = 255

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


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one request, each at most once, all of them known to the route."""

    values: dict[str, str]

    def limit(self) -> int:
        """Return `limit`, 1 to 200, default 50."""
        return read_limit(self.values)

    def choice(self, name: str, allowed: tuple[str, ...]) -> str | None:
        """Return a parameter that is one of a few words."""
        text = self.values.get(name)
        if text is not None and text not in allowed:
            raise parameter_problem(name, f"{name}_invalid", f"One of: {', '.join(allowed)}.")
        return text

    def instant(self, name: str) -> datetime | None:
        """Return an RFC 3339 instant with an offset, in UTC."""
        text = self.values.get(name)
        if text is None:
            return None
        try:
            return parse_instant(text)
        except NaiveInstantError:
            raise parameter_problem(name, "timestamp_without_offset") from None
        except ValueError:
            raise parameter_problem(name, "timestamp_invalid") from None

    def text(self, name: str, longest: int) -> str | None:
        """Return a text of 1 to `longest` printable characters, in NFC as every text is kept."""
        text = self.values.get(name)
        if text is None:
            return None
        if not 1 <= len(text) <= longest or not text.isprintable():
            raise parameter_problem(name, f"{name}_invalid")
        return unicodedata.normalize("NFC", text)

    def uuid(self, name: str) -> UUID | None:
        """Return an id in its canonical lower-case form."""
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
    return Parameters(read_values(query_string, known))
