"""Examples for an OpenAPI document, made of those that its schemas already hold: every value a reader meets has one.

A schema's own example, default or constant comes first; where a type says enough (a date, a UUID, a count) a usual one
is made. A text of its own kind must bring an example: one that is made up would teach nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_MISSING: Final = object()
_BY_FORMAT: Final = {
    "date-time": "2026-11-23T01:02:03.123456Z",
    "uuid": "019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10",
}


class NoExampleError(Exception):
    """Nothing in the document gives an example of a value; the message names its place."""


def example_of(document: Schema, schema: Schema, place: str, *, is_sent: bool) -> Any:
    """Return an example of a value by its schema.

    Args:
        document: where references lead to.
        schema: of the value.
        place: for the message of an error.
        is_sent: by a client; a response may be null where nothing better is known.

    Raises:
        NoExampleError: a text has neither example, default, constant nor a format that says enough.
    """
    schema = resolved(document, schema)
    found = _given(schema)
    if found is not _MISSING:
        return found
    if "anyOf" in schema:
        return _of_variants(document, schema["anyOf"], place, is_sent=is_sent)
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            return {
                name: example_of(document, each, f"{place}/{name}", is_sent=is_sent)
                for name, each in schema.get("properties", {}).items()
                if name in required
            }
        case "array":
            return [example_of(document, schema["items"], f"{place}/0", is_sent=is_sent)]
    usual = _usual(schema)
    if usual is _MISSING:
        raise NoExampleError(f"no example at {place}")
    return usual


def _usual(schema: Schema) -> Any:
    match schema.get("type"):
        case "integer":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return False
        case "null":
            return None
    return _BY_FORMAT.get(schema.get("format", ""), _MISSING)


def resolved(document: Schema, schema: Schema) -> Schema:
    """Return what a `$ref` stands for; what stands beside the reference wins."""
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = {**found, **{name: value for name, value in schema.items() if name != "$ref"}}
    return schema


def _given(schema: Schema) -> Any:
    several = schema.get("examples") or schema.get("enum")
    if several:
        return several[0]
    for name in ("example", "const", "default"):
        if schema.get(name) is not None:
            return schema[name]
    return _MISSING


def _of_variants(document: Schema, variants: list[Schema], place: str, *, is_sent: bool) -> Any:
    """Return an example of the first variant that is not null; null where that has none and a response may be null."""
    first = next((each for each in variants if each.get("type") != "null"), variants[0])
    try:
        return example_of(document, first, place, is_sent=is_sent)
    except NoExampleError:
        if is_sent or not any(each.get("type") == "null" for each in variants):
            raise
        return None
