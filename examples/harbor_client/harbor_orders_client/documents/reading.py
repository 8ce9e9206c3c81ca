"""Makes frozen dataclasses of JSON documents.

The API may add members at any time, so unknown ones are ignored. A declared one that is missing or of another type is
an error.
A field whose metadata has `MEMBER` is read from that name instead of its own; a field with a default may be missing.
"""

import dataclasses
import types
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from harbor_orders_client.errors import UnexpectedResponse

T = TypeVar("T")
MEMBER: Final = "member"
_PLAIN: Final = (str, int, bool)


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One field of a dataclass: where it is read from, as what, and whether it may be missing."""

    field: str
    name: str
    kind: Any
    is_optional: bool


@cache
def members(kind: type) -> tuple[Member, ...]:
    """Return what a dataclass reads."""
    hints = get_type_hints(kind)
    return tuple(
        Member(
            each.name,
            each.metadata.get(MEMBER, each.name),
            hints[each.name],
            each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING,
        )
        for each in dataclasses.fields(kind)
    )


def read(kind: type[T], value: object, place: str = "") -> T:
    """Make a `kind` of a parsed JSON value. `place` is its JSON pointer, for the error.

    Raises:
        UnexpectedResponse: the value is not what `kind` declares; names the place and never the value.
    """
    return cast("T", _read(kind, value, place))


def _read(kind: Any, value: object, place: str) -> object:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {types.UnionType, Union}:  # X | None is the only union there is
        return None if value is None else _read(arguments[0], value, place)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(arguments[0], each, f"{place}/{index}") for index, each in enumerate(value))
    if (origin or kind) in {Mapping, dict} and isinstance(value, dict):
        return value
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _read_members(cast("type", kind), value, place)
    if kind in _PLAIN and type(value) is kind:
        return value
    if kind in {date, datetime, Decimal} and isinstance(value, str):
        return _read_text(kind, value, place)
    raise UnexpectedResponse(f"the response is not what was expected at {place or '/'}")


def _read_members(kind: type, value: dict[str, object], place: str) -> object:
    found: dict[str, object] = {}
    for each in members(kind):
        if each.name in value:
            found[each.field] = _read(each.kind, value[each.name], f"{place}/{each.name}")
        elif not each.is_optional:
            raise UnexpectedResponse(f"the response lacks {place}/{each.name}")
    return kind(**found)


def _read_text(kind: Any, value: str, place: str) -> object:
    try:
        return Decimal(value) if kind is Decimal else kind.fromisoformat(value)
    except (ValueError, InvalidOperation):
        raise UnexpectedResponse(f"the response has no {kind.__name__} at {place}") from None
