"""A request body made of the examples in our own OpenAPI documents: what a reader of the documentation would send."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


class NoExampleError(Exception):
    """The document gives no example to make a value of; the message names the place."""


def body_example(document: Schema, operation: Schema) -> Any:
    """Give an example of the body of an operation, None when it takes none.

    Raises:
        NoExampleError: a required value has neither example, default nor constant.
    """
    if "requestBody" not in operation:
        return None
    media = operation["requestBody"]["content"]["application/json"]
    if "example" in media:
        return media["example"]
    if "examples" in media:
        return next(iter(media["examples"].values()))["value"]
    return value_example(document, media["schema"], operation["operationId"])


def value_example(document: Schema, schema: Schema, place: str) -> Any:
    """Give an example of a value by its schema."""
    schema = resolved(document, schema)
    several = schema.get("examples") or schema.get("enum")
    if several:
        return several[0]
    for name in ("example", "const", "default"):
        if name in schema:
            return schema[name]
    if "anyOf" in schema:
        return value_example(document, schema["anyOf"][0], place)
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            return {
                name: value_example(document, each, f"{place}/{name}")
                for name, each in schema.get("properties", {}).items()
                if name in required
            }
        case "array":
            return [value_example(document, schema["items"], f"{place}/0")]
        case "boolean":
            return True
    raise NoExampleError(f"no example at {place}")


def resolved(document: Schema, schema: Schema) -> Schema:
    """Give what a `$ref` stands for; its own siblings win."""
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = {**found, **{name: value for name, value in schema.items() if name != "$ref"}}
    return schema
