"""Upcasting: turn a stored event of an older schema version into the next version, step by step, before it is typed.

An upcaster takes the `data` member of version n as a JSON object and returns that of version n + 1. It is pure: what
cannot be derived from the older version gets a value that says so.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

JsonObject = dict[str, object]
Upcaster = Callable[[JsonObject], JsonObject]
Upcasters = Mapping[tuple[str, int], Upcaster]


def captured_by_amount(data: JsonObject) -> JsonObject:
    """Return `order.captured` version 2: `lines` is new, and every earlier capture was by amount."""
    return data | {"lines": []}


def without_reason(data: JsonObject) -> JsonObject:
    """Return the version that knows a reason: none was kept before."""
    return data | {"reason": None}


UPCASTERS: Upcasters = MappingProxyType(
    {
        ("order.authorized", 1): without_reason,
        ("order.captured", 1): captured_by_amount,
        ("order.captured", 2): without_reason,
        ("order.settlement_recorded", 1): without_reason,
    }
)
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
