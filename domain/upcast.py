"""Upcasting: a stored event of an older schema version becomes the next version, step by step, before it is typed.

An upcaster takes the `data` member of version n as a JSON object and gives that of version n + 1. It is pure and
never asks anything: what a newer version cannot know from the older one gets a value that says so.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

JsonObject = dict[str, object]
Upcaster = Callable[[JsonObject], JsonObject]
Upcasters = Mapping[tuple[str, int], Upcaster]


def captured_by_amount(data: JsonObject) -> JsonObject:
    """order.captured 1 -> 2: `lines` came with captures by lines; every earlier capture was one of an amount."""
    return data | {"lines": []}


UPCASTERS: Upcasters = MappingProxyType({("order.captured", 1): captured_by_amount})
"""(type, version n) -> the step to version n + 1."""


def upcast(event_type: str, schema_version: int, to_version: int, data: JsonObject, upcasters: Upcasters) -> JsonObject:
    """Return `data` in `to_version`.

    Raises:
        KeyError: a step is missing, or the event is newer than `to_version`.
    """
    while schema_version != to_version:
        data = upcasters[event_type, schema_version](data)
        schema_version += 1
    return data
