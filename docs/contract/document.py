"""What a change of an OpenAPI document means to clients: what stands beside the operations, then each of them. Pure."""

from collections.abc import Iterator
from typing import Final

from docs.contract.change import NO_RULE, Change, Direction
from docs.contract.operations import FREE, of_operations, unruled
from docs.contract.references import Schema, text

_RULED: Final = frozenset({"info", "paths", "webhooks", "components", "security", "tags"})
_OF_USES: Final = frozenset({"schemas", "parameters", "headers", "requestBodies", "responses", "examples"})
"""Components that are compared where something refers to them."""


def changes(old: Schema, new: Schema) -> list[Change]:
    """Return every difference between two OpenAPI documents that a client could notice, breaking ones first."""
    found = [
        *of_operations(old, new, "paths", Direction.SENT),
        *of_operations(old, new, "webhooks", Direction.RECEIVED),
        *unruled(old, new, FREE | _RULED, "document"),
        *unruled(old.get("info", {}), new.get("info", {}), FREE | {"version"}, "document info"),
        *_of_components(old.get("components", {}), new.get("components", {})),
    ]
    return sorted(set(found), key=lambda change: (not change.is_breaking, change.place, change.what))


def _of_components(old: Schema, new: Schema) -> Iterator[Change]:
    yield from unruled(old, new, _OF_USES | {"securitySchemes"}, "components")
    olds, news = old.get("securitySchemes", {}), new.get("securitySchemes", {})
    for name in sorted(olds.keys() - news.keys()):
        yield Change(True, "components", f"security scheme {name} removed")
    for name in sorted(news.keys() - olds.keys()):
        yield Change(False, "components", f"security scheme {name} added")
    for name in sorted(olds.keys() & news.keys()):
        before, after = ({key: value for key, value in each[name].items() if key not in FREE} for each in (olds, news))
        if text(before) != text(after):
            yield Change(True, "components", f"security scheme {name} {NO_RULE}")
