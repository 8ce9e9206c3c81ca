"""Everywhere in an OpenAPI document that something may change, and a catalogue of what may change there."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from docs.contract.change import Direction

Json = dict[str, Any]
Kind = Literal["operation", "parameter", "body", "response", "media", "header", "schema"]
Steps = tuple[str | int, ...]

SENT: Final = frozenset({Direction.SENT})
RECEIVED: Final = frozenset({Direction.RECEIVED})
BOTH: Final = SENT | RECEIVED
_INNER: Final = ("items", "additionalProperties", "propertyNames", "not")


@dataclass(frozen=True, slots=True)
class Site:
    """A place of a document: what is there, the steps to it, and which way the value travels."""

    kind: Kind
    steps: Steps
    direction: Direction
    operation: tuple[str, str, str]
    """The section, path and method of the first operation that leads there."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change of what is at a site: where it can be made, what it does, and for which way of travel it breaks."""

    kind: Kind
    fits: Callable[[Json], object]
    mutate: Callable[[Json], object]
    breaks: frozenset[Direction] = BOTH


def sites(document: Json) -> list[Site]:
    """Return every place once for each way of travel."""
    found: dict[tuple[Steps, Direction], Site] = {}
    for section, out in (("paths", Direction.SENT), ("webhooks", Direction.RECEIVED)):
        for path, methods in document.get(section, {}).items():
            for method in methods:
                for site in _of_operation(document, (section, path, method), out):
                    found.setdefault((site.steps, site.direction), site)
    return list(found.values())


def at(document: Json, steps: Steps) -> Any:
    """Return what is at the end of the steps."""
    value: Any = document
    for step in steps:
        value = value[step]
    return value


def only(document: Json, operation: tuple[str, str, str]) -> Json:
    """Return the document with one operation; all else is shared with the whole."""
    section, path, method = operation
    whole = {name: value for name, value in document.items() if name not in {"paths", "webhooks"}}
    return {**whole, section: {path: {method: document[section][path][method]}}}


def _of_operation(document: Json, operation: tuple[str, str, str], out: Direction) -> Iterator[Site]:
    whole = at(document, operation)
    yield Site("operation", operation, out, operation)
    for index, _ in enumerate(whole.get("parameters", ())):
        steps: Steps = (*operation, "parameters", index)
        yield Site("parameter", steps, out, operation)
        yield from _schemas(document, (*steps, "schema"), out, operation)
    if "requestBody" in whole:
        yield Site("body", (*operation, "requestBody"), out, operation)
        yield from _contents(document, (*operation, "requestBody"), out, operation)
    for status, response in whole["responses"].items():
        steps = (*operation, "responses", status)
        yield Site("response", steps, out.flipped, operation)
        for name in response.get("headers", {}):
            yield Site("header", (*steps, "headers", name), out.flipped, operation)
            yield from _schemas(document, (*steps, "headers", name, "schema"), out.flipped, operation)
        yield from _contents(document, steps, out.flipped, operation)


def _contents(document: Json, steps: Steps, way: Direction, operation: tuple[str, str, str]) -> Iterator[Site]:
    for kind in at(document, steps).get("content", {}):
        yield Site("media", (*steps, "content", kind), way, operation)
        yield from _schemas(document, (*steps, "content", kind, "schema"), way, operation)


def _schemas(document: Json, steps: Steps, way: Direction, operation: tuple[str, str, str]) -> Iterator[Site]:
    """Return a schema and those within it; goes through references, and none of them leads back into itself."""
    schema = at(document, steps)
    yield Site("schema", steps, way, operation)
    if "$ref" in schema:
        yield from _schemas(document, tuple(schema["$ref"].removeprefix("#/").split("/")), way, operation)
    inner = [(name,) for name in _INNER if isinstance(schema.get(name), dict)]
    members = [("properties", name) for name in schema.get("properties", {})]
    variants = [(name, i) for name in ("anyOf", "oneOf", "allOf") for i, _ in enumerate(schema.get(name, ()))]
    for further in (*inner, *members, *variants):
        yield from _schemas(document, (*steps, *further), way, operation)


def _has(*members: str) -> Callable[[Json], object]:
    return lambda value: all(member in value for member in members)


def _lacks(*members: str) -> Callable[[Json], object]:
    return lambda value: not any(member in value for member in members)


def _is(kind: str, *lacking: str) -> Callable[[Json], object]:
    return lambda value: value.get("type") == kind and _lacks(*lacking)(value)


def _puts(**members: Any) -> Callable[[Json], object]:
    return lambda value: value.update(copy.deepcopy(members))


def _drops(member: str) -> Callable[[Json], object]:
    return lambda value: value.pop(member)


def _moves(member: str, by: int) -> Callable[[Json], object]:
    return lambda value: value.update({member: value[member] + by})


def _becomes(whole: Mapping[str, Any]) -> Callable[[Json], object]:
    def replace(value: Json) -> None:
        value.clear()
        value.update(copy.deepcopy(whole))

    return replace


def _first(value: Mapping[str, Any]) -> str:
    return next(iter(value))


def _optional(schema: Json) -> list[str]:
    """Return the properties that need not be there."""
    return [name for name in schema.get("properties", {}) if name not in schema.get("required", ())]


def _another(kind: str) -> str:
    return "integer" if kind == "boolean" else "boolean"


def _rename_properties(schema: Json) -> None:
    schema["properties"] = {f"{name}_": each for name, each in schema["properties"].items()}


CATALOGUE: Final[dict[str, Mutation]] = {
    # what operations are
    "another operationId": Mutation("operation", _has("operationId"), _puts(operationId="another")),
    "another tag": Mutation("operation", _has("tags"), _puts(tags=["another"])),
    "another server": Mutation("operation", _lacks("servers"), _puts(servers=[{"url": "/v2"}])),
    "callbacks": Mutation("operation", _lacks("callbacks"), _puts(callbacks={"done": {}})),
    "a member nobody knows": Mutation("operation", _lacks("x-ours"), _puts(**{"x-ours": 1})),
    "one login less": Mutation("operation", lambda v: v.get("security"), lambda v: v["security"].pop()),
    "another login": Mutation("operation", _has("security"), _puts(security=[{"other": []}])),
    "another scope": Mutation("operation", _has("x-required-scopes"), _puts(**{"x-required-scopes": ["other"]})),
    "no parameters": Mutation("operation", lambda v: v.get("parameters"), _drops("parameters")),
    "a required parameter": Mutation(
        "operation",
        _has("parameters"),
        lambda v: v["parameters"].append({"name": "x", "in": "query", "required": True}),
        SENT,
    ),
    "no body": Mutation("operation", _has("requestBody"), _drops("requestBody")),
    "a body that is needed": Mutation("operation", _lacks("requestBody"), _puts(requestBody={"required": True}), SENT),
    "no success": Mutation("operation", _has("responses"), lambda v: v["responses"].pop(_first(v["responses"]))),
    "no last response": Mutation("operation", _has("responses"), lambda v: v["responses"].popitem()),
    "another success": Mutation("operation", _has("responses"), lambda v: v["responses"].update({"299": {}})),
    # what they take and answer
    "another parameter": Mutation("parameter", _has("name"), _puts(name="another")),
    "a parameter elsewhere": Mutation("parameter", _has("in"), _puts(**{"in": "cookie"})),
    "needed": Mutation("parameter", lambda v: not v.get("required"), _puts(required=True), SENT),
    "not needed": Mutation("parameter", lambda v: v.get("required"), _puts(required=False), RECEIVED),
    "another style": Mutation("parameter", _lacks("style"), _puts(style="another")),
    "a parameter exploded": Mutation("parameter", _lacks("explode"), _puts(explode=True)),
    "of no schema": Mutation("parameter", lambda v: v.get("schema"), _drops("schema"), RECEIVED),
    "a body that becomes needed": Mutation("body", lambda v: not v.get("required"), _puts(required=True), SENT),
    "a body that may be missing": Mutation("body", lambda v: v.get("required"), _puts(required=False), RECEIVED),
    "a body of another content type": Mutation("body", _has("content"), _puts(content={"text/csv": {}})),
    "a body with a member nobody knows": Mutation("body", _lacks("x-ours"), _puts(**{"x-ours": 1})),
    "an answer of another content type": Mutation(
        "response", lambda v: v.get("content"), _puts(content={"text/csv": {}})
    ),
    "an answer of no content": Mutation("response", lambda v: v.get("content"), _drops("content")),
    "no headers": Mutation("response", lambda v: v.get("headers"), _drops("headers")),
    "links": Mutation("response", _lacks("links"), _puts(links={"next": {}})),
    "encoded otherwise": Mutation("media", _lacks("encoding"), _puts(encoding={"a": {}})),
    "no schema": Mutation("media", lambda v: v.get("schema"), _drops("schema"), RECEIVED),
    "a code less": Mutation("media", lambda v: "Problem" in json.dumps(v["schema"]), lambda v: v["examples"].popitem()),
    "a header of any type": Mutation("header", _has("schema"), _drops("schema"), RECEIVED),
    "a header in another style": Mutation("header", _lacks("style"), _puts(style="another")),
    "a header as content": Mutation("header", _lacks("content"), _puts(content={"text/plain": {}})),
    # the types and values of schemas
    "another type": Mutation(
        "schema", lambda v: isinstance(v.get("type"), str), lambda v: v.update(type=_another(v["type"]))
    ),
    "no type": Mutation("schema", _has("type"), _drops("type"), RECEIVED),
    "or null": Mutation(
        "schema",
        lambda v: v.get("type") in {"string", "integer"},
        lambda v: v.update(type=[v["type"], "null"]),
        RECEIVED,
    ),
    "a value less": Mutation("schema", _has("enum"), lambda v: v["enum"].pop(0), SENT),
    "a value more": Mutation("schema", _has("enum"), lambda v: v["enum"].append("another"), RECEIVED),
    "any value": Mutation("schema", _has("enum"), _drops("enum"), RECEIVED),
    "listed values": Mutation("schema", _lacks("enum", "const"), _puts(enum=["another"]), SENT),
    "another constant": Mutation("schema", _has("const"), _puts(const="another")),
    "no constant": Mutation("schema", _has("const"), _drops("const"), RECEIVED),
    "a default": Mutation("schema", _lacks("default"), _puts(default="another")),
    "another default": Mutation("schema", _has("default"), lambda v: v.update(default=[v["default"]])),
    "no default": Mutation("schema", _has("default"), _drops("default")),
    "another truth": Mutation(
        "schema", lambda v: v.get("type") == "boolean" and "default" in v, lambda v: v.update(default=not v["default"])
    ),
    # their texts and numbers
    "shorter": Mutation("schema", _has("maxLength"), _moves("maxLength", -1), SENT),
    "longer": Mutation("schema", _has("maxLength"), _moves("maxLength", 1), RECEIVED),
    "of any length": Mutation("schema", _has("maxLength"), _drops("maxLength"), RECEIVED),
    "of a length": Mutation("schema", _is("string", "maxLength"), _puts(maxLength=1), SENT),
    "not so short": Mutation("schema", _has("minLength"), _moves("minLength", 1), SENT),
    "as short as one likes": Mutation("schema", _has("minLength"), _drops("minLength"), RECEIVED),
    "another pattern": Mutation("schema", _has("pattern"), _puts(pattern="^another$")),
    "no pattern": Mutation("schema", _has("pattern"), _drops("pattern"), RECEIVED),
    "of a pattern": Mutation("schema", _is("string", "pattern"), _puts(pattern="^a"), SENT),
    "another format": Mutation("schema", _has("format"), _puts(format="another")),
    "no format": Mutation("schema", _has("format"), _drops("format"), RECEIVED),
    "of a format": Mutation("schema", _is("string", "format"), _puts(format="uuid"), SENT),
    "less at most": Mutation("schema", _has("maximum"), _moves("maximum", -1), SENT),
    "more at most": Mutation("schema", _has("maximum"), _moves("maximum", 1), RECEIVED),
    "more at least": Mutation("schema", _has("minimum"), _moves("minimum", 1), SENT),
    "less at least": Mutation("schema", _has("minimum"), _moves("minimum", -1), RECEIVED),
    "so much at most": Mutation("schema", _is("integer", "maximum"), _puts(maximum=1), SENT),
    "less than": Mutation("schema", _is("integer", "exclusiveMaximum"), _puts(exclusiveMaximum=1), SENT),
    "in steps": Mutation("schema", _is("integer", "multipleOf"), _puts(multipleOf=7), SENT),
    # their lists
    "fewer items": Mutation("schema", _has("maxItems"), _moves("maxItems", -1), SENT),
    "more items": Mutation("schema", _has("maxItems"), _moves("maxItems", 1), RECEIVED),
    "no fewer items": Mutation("schema", _has("minItems"), _moves("minItems", 1), SENT),
    "items that differ": Mutation("schema", _is("array", "uniqueItems"), _puts(uniqueItems=True), SENT),
    "any items": Mutation("schema", _has("items"), _drops("items"), RECEIVED),
    "other items": Mutation("schema", _has("items"), _puts(items={"type": "boolean"})),
    "first items": Mutation("schema", _is("array", "prefixItems"), _puts(prefixItems=[{"type": "null"}])),
    "some item": Mutation("schema", _is("array", "contains"), _puts(contains={"type": "null"})),
    # their objects
    "a property less": Mutation("schema", lambda v: v.get("properties"), lambda v: v["properties"].popitem()),
    "the first property less": Mutation(
        "schema", lambda v: v.get("properties"), lambda v: v["properties"].pop(_first(v["properties"]))
    ),
    "properties of other names": Mutation("schema", lambda v: v.get("properties"), _rename_properties),
    "a property that becomes required": Mutation(
        "schema", _optional, lambda v: v.update(required=[*v.get("required", ()), _optional(v)[0]]), SENT
    ),
    "a property that becomes optional": Mutation(
        "schema", lambda v: v.get("required"), lambda v: v["required"].pop(), RECEIVED
    ),
    "a required property": Mutation(
        "schema",
        lambda v: v.get("required"),
        lambda v: (v["properties"].update(another={}), v["required"].append("another")),
        SENT,
    ),
    "a required property of no description": Mutation(
        "schema", _has("required"), lambda v: v["required"].append("x"), SENT
    ),
    "others possible": Mutation(
        "schema", lambda v: v.get("additionalProperties") is False, _puts(additionalProperties=True), RECEIVED
    ),
    "others refused": Mutation(
        "schema",
        lambda v: v.get("type") == "object" and v.get("additionalProperties") is not False,
        _puts(additionalProperties=False),
        SENT,
    ),
    "other values of a map": Mutation(
        "schema",
        lambda v: isinstance(v.get("additionalProperties"), dict),
        _puts(additionalProperties={"type": "integer"}),
    ),
    "shorter values of a map": Mutation(
        "schema",
        lambda v: isinstance(v.get("additionalProperties"), dict),
        lambda v: v["additionalProperties"].update(maxLength=1),
        SENT,
    ),
    "fewer properties": Mutation("schema", _is("object", "maxProperties"), _puts(maxProperties=1), SENT),
    "names of properties": Mutation("schema", _is("object"), _puts(propertyNames={"maxLength": 1}), SENT),
    "patterns of properties": Mutation("schema", _is("object"), _puts(patternProperties={"^a": {"type": "null"}})),
    "one property with another": Mutation("schema", _is("object"), _puts(dependentRequired={"a": ["b"]})),
    # what they are made of
    "all of more": Mutation("schema", _lacks("allOf"), _puts(allOf=[{"required": ["x"]}]), SENT),
    "not": Mutation("schema", _lacks("not"), _puts(**{"not": {"const": "x"}}), SENT),
    "if": Mutation("schema", _lacks("if"), _puts(**{"if": {"const": "x"}, "then": False})),
    "to read only": Mutation("schema", _lacks("readOnly"), _puts(readOnly=True)),
    "a keyword nobody knows": Mutation("schema", _lacks("x-ours"), _puts(**{"x-ours": 1})),
    "a variant less": Mutation("schema", _has("anyOf"), lambda v: v["anyOf"].pop(), SENT),
    "the first variant less": Mutation("schema", _has("anyOf"), lambda v: v["anyOf"].pop(0), SENT),
    "a variant more": Mutation("schema", _has("anyOf"), lambda v: v["anyOf"].append({"type": "boolean"}), RECEIVED),
    "a first variant of the same type": Mutation(
        "schema",
        _has("anyOf"),
        lambda v: v["anyOf"].insert(0, copy.deepcopy(v["anyOf"][0]) | {"minLength": 99}),
        RECEIVED,
    ),
    "one of them": Mutation("schema", _has("anyOf"), lambda v: v.update(oneOf=v.pop("anyOf"))),
    "another mark": Mutation(
        "schema", _has("discriminator"), lambda v: v["discriminator"].update(propertyName="another")
    ),
    "no mark": Mutation("schema", _has("discriminator"), _drops("discriminator")),
    "a mark of another": Mutation(
        "schema",
        _has("discriminator"),
        lambda v: v["discriminator"]["mapping"].update({_first(v["discriminator"]["mapping"]): "#/another"}),
    ),
    "another type for a reference": Mutation("schema", _has("$ref"), _becomes({"type": "boolean"})),
    "less beside a reference": Mutation("schema", _has("$ref"), _puts(enum=["another"]), SENT),
    "anything for a reference": Mutation("schema", _has("$ref"), _drops("$ref"), RECEIVED),
}
