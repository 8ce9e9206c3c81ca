"""What a difference is: which way the value travels, and whether it breaks clients. Pure."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

Json = Mapping[str, Any]

NOTES: Final = frozenset({"title", "description", "summary", "example", "examples", "externalDocs", "$comment"})
"""What is written for people: free to change, and so is `deprecated`."""
FREE: Final = NOTES | {"deprecated"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; `place` leads to it (`POST /orders body/lines[]/sku`), `what` says what happened there."""

    is_breaking: bool
    place: str
    what: str

    def __str__(self) -> str:
        """Return the line that names the change, here and in the list of accepted ones."""
        return f"{self.place}: {self.what}"


class Direction(Enum):
    """Which way a value travels: what clients send may only widen, what they receive may only narrow."""

    SENT = "sent by clients"
    RECEIVED = "received by clients"

    @property
    def flipped(self) -> "Direction":
        """Return the direction of the response to what travels this way."""
        return Direction.RECEIVED if self is Direction.SENT else Direction.SENT

    def change(self, place: str, what: str, *, narrowed: bool) -> Change:
        """Return the change that lets less through (`narrowed`) or more."""
        return Change(narrowed is (self is Direction.SENT), place, what)


def written(value: Any) -> str:
    """Return a value as text; equal texts are equal JSON: `true` is not 1, and members have no order."""
    return json.dumps(value, sort_keys=True)


def of_names(
    old: Collection[str], new: Collection[str], place: str, noun: str, breaking: Collection[str] = ()
) -> Iterator[Change]:
    """Compare names that clients use: one less breaks, one more does if it is in `breaking`."""
    for name in sorted(set(old) - set(new)):
        yield Change(True, f"{place}{name}", f"{noun} removed")
    for name in sorted(set(new) - set(old)):
        yield Change(name in breaking, f"{place}{name}", f"{noun} added")


def of_the_rest(old: Json, new: Json, place: str, *ruled: str) -> Iterator[Change]:
    """Compare the members that no rule is written for: none of them may change."""
    for member in sorted((old.keys() | new.keys()) - FREE - set(ruled)):
        was, now = ({name: value for name, value in each.items() if name == member} for each in (old, new))
        if written(was) != written(now):
            yield Change(True, place, f"{member} changed, and no rule allows it")
