"""JSON Schemas of whole documents as components of one AsyncAPI document, where every reference starts at its root."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Json: TypeAlias = Mapping[str, Any]

IN_COMPONENTS: Final = "#/components/schemas/"
_IN_DEFINITIONS: Final = "#/$defs/"
_ONLY_IN_FILES: Final = frozenset({"$schema", "$id", "$defs", "discriminator"})
"""Keywords that AsyncAPI's own dialect of JSON Schema lacks or means otherwise."""


def as_components(schemas: Mapping[str, Json]) -> dict[str, Json]:
    """Return the schemas under their names, and the shapes in their `$defs` beside them.

    A shape has one name in all of them; where two schemas differ in it, each puts its own name in front.
    """
    contents: dict[str, list[Json]] = {}
    for schema in schemas.values():
        for shape, content in _definitions(schema).items():
            if content not in contents.setdefault(shape, []):
                contents[shape].append(content)
    components: dict[str, Json] = {}
    for name, schema in schemas.items():
        inside = _definitions(schema)
        names = {shape: shape if len(contents[shape]) == 1 else f"{name}.{shape}" for shape in inside}
        components[name] = _relinked(schema, names)
        components |= {names[shape]: _relinked(content, names) for shape, content in inside.items()}
    return components


def _definitions(schema: Json) -> dict[str, Json]:
    return dict(schema.get("$defs", {}))


def _relinked(node: Any, names: Mapping[str, str]) -> Any:
    """Return a part of a schema with its references leading to the components of these names."""
    if isinstance(node, Mapping):
        kept = {key: _relinked(value, names) for key, value in node.items() if key not in _ONLY_IN_FILES}
        if "$ref" in kept:
            kept["$ref"] = IN_COMPONENTS + names[kept["$ref"].removeprefix(_IN_DEFINITIONS)]
        return kept
    return [_relinked(each, names) for each in node] if isinstance(node, list) else node
