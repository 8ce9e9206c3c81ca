"""Reads schemas through their references. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

Schema = Mapping[str, Any]

NOTES: Final = frozenset({"title", "description", "summary", "example", "examples", "externalDocs", "$comment"})
"""What is written for people: free to change."""


def found(document: Schema, reference: str) -> Any:
    """Return what a reference within the document leads to."""
    value: Any = document
    for step in reference.removeprefix("#/").split("/"):
        value = value[step.replace("~1", "/").replace("~0", "~")]
    return value


def part(document: Schema, value: Schema) -> Schema:
    """Return a parameter, body, response or header that may stand as a reference."""
    while "$ref" in value:
        value = as_schema(found(document, value["$ref"]))
    return value


def resolved(document: Schema, schema: Any) -> Schema:
    """Return a schema without a reference at its top; what stands beside the reference holds as well."""
    whole = as_schema(schema)
    while "$ref" in whole:
        run_in_background = {name: value for name, value in whole.items() if name != "$ref"}
        whole = both(as_schema(found(document, whole["$ref"])), run_in_background)
    return whole


def as_schema(value: Any) -> Schema:
    """Write the two schemas that are booleans, and the one that is not there, as objects."""
    if value is True or value is None:
        return {}
    schema: Schema = {"not": {}} if value is False else value
    return schema


def both(one: Schema, other: Schema) -> Schema:
    """Return the schema of what fits both; keywords that two would claim are kept apart in an `allOf`."""
    free = {name: value for name, value in other.items() if name not in one or name in NOTES}
    claimed = {name: value for name, value in other.items() if name not in free and text(one[name]) != text(value)}
    joined = {**one, **free}
    if claimed:
        joined["allOf"] = [*joined.get("allOf", ()), claimed]
    return joined


def unfolded(document: Schema, value: Any, within: tuple[str, ...] = ()) -> Any:
    """Put in place of every reference what it leads to; one that leads back into itself stays a name."""
    if isinstance(value, Mapping):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference not in within:
            target = unfolded(document, found(document, reference), (*within, reference))
            run_in_background = {
                name: unfolded(document, each, within) for name, each in value.items() if name != "$ref"
            }
            return {"allOf": [target, run_in_background]} if run_in_background else target
        return {name: unfolded(document, each, within) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [unfolded(document, each, within) for each in value]
    return value


def text(value: Any) -> str:
    """Write a value so that equal texts are equal JSON: `true` is not 1, and members have no order."""
    return json.dumps(value, sort_keys=True)
