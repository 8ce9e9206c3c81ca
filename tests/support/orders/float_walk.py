"""Looks for floats in what a program made: in every object that can be reached, and in the bytes of JSON among them."""

import dataclasses
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import orjson
from pydantic import BaseModel

_LEAVES = (str, int, date, datetime, UUID, Decimal, type(None))


def floats_within(thing: object, place: str = "") -> Iterator[str]:
    """Return the place of every float within a thing.

    Raises:
        TypeError: it holds what nobody can look into; so nothing is passed over.
    """
    if isinstance(thing, float | complex):
        yield place or "/"
        return
    for name, part in _parts(thing):
        yield from floats_within(part, f"{place}/{name}")


def _parts(thing: object) -> Iterator[tuple[object, object]]:
    match thing:
        case Enum():
            yield "value", thing.value
        case _ if isinstance(thing, _LEAVES):
            pass
        case bytes():
            yield "json", orjson.loads(thing)
        case BaseModel():
            yield from ((name, getattr(thing, name)) for name in type(thing).model_fields)
        case Mapping():
            yield from (("key", key) for key in thing)
            yield from thing.items()
        case tuple() | list():
            yield from enumerate(thing)
        case AbstractSet():
            yield from (("member", member) for member in thing)
        case _ if dataclasses.is_dataclass(thing):
            yield from ((field.name, getattr(thing, field.name)) for field in dataclasses.fields(thing))
        case _:
            raise TypeError(f"{type(thing).__name__} cannot be looked into")
