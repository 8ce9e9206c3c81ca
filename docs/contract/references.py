"""Puts in place of every reference of a document what it leads to. Pure."""

from collections.abc import Mapping
from typing import Any

from docs.contract.change import NOTES, Json, written


def unfolded(document: Json) -> Json:
    """Return the operations of a document without references; one that leads back into itself stays a name."""
    known: dict[tuple[str, ...], Any] = {}

    def unfold(value: Any, within: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [unfold(each, within) for each in value]
        if not isinstance(value, Mapping) or value.get("$ref") in within:
            return value
        members = {name: unfold(each, within) for name, each in value.items() if name != "$ref"}
        if "$ref" not in value:
            return members
        path = (*within, value["$ref"])
        if path not in known:
            known[path] = unfold(_found(document, value["$ref"]), path)
        return both(known[path], members)

    return {**document, **{part: unfold(document.get(part, {}), ()) for part in ("paths", "webhooks")}}


def both(one: Json, other: Json) -> Json:
    """Return the schema of what fits both; keywords on which they differ are kept apart in `allOf`."""
    clashing = {
        name: value
        for name, value in other.items()
        if name in one and name not in NOTES and written(one[name]) != written(value)
    }
    joined = {**one, **{name: value for name, value in other.items() if name not in clashing}}
    return joined | {"allOf": [*joined.get("allOf", ()), clashing]} if clashing else joined


def _found(document: Json, reference: str) -> Any:
    value: Any = document
    for step in reference.removeprefix("#/").split("/"):
        value = value[step.replace("~1", "/").replace("~0", "~")]
    return value
