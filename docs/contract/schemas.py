"""What a change of a JSON Schema means to clients: breaking, or an addition they need not notice. Pure.

A value that clients *send* may only become less narrow; one that they *get* may only become more so. What cannot be
proved harmless (a pattern that was edited) counts as breaking.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

Schema = Mapping[str, Any]


class Direction(Enum):
    """Which way a value travels."""

    SENT = "sent by clients"
    RECEIVED = "received by clients"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; `place` leads to it (`create_order/201/body/status`), `what` says what happened there."""

    is_breaking: bool
    place: str
    what: str

    def __str__(self) -> str:
        """Give the line that names the change, here and in the list of accepted ones."""
        return f"{self.place}: {self.what}"


# keyword -> whether a higher number lets less through
_BOUNDS: Final = {
    "minimum": True,
    "exclusiveMinimum": True,
    "minLength": True,
    "minItems": True,
    "minProperties": True,
    "maximum": False,
    "exclusiveMaximum": False,
    "maxLength": False,
    "maxItems": False,
    "maxProperties": False,
}
_FORMS: Final = ("pattern", "format", "contentEncoding")


class Comparison:
    """Compares schemas of two documents; follows references, each pair of them once."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[str, str, Direction]] = set()

    def changes(self, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
        """Give every difference between two schemas of the same value."""
        pair = (str(old.get("$ref", "")), str(new.get("$ref", "")), direction)
        if pair[0] or pair[1]:
            if pair in self._seen:
                return
            self._seen.add(pair)
        old, new = resolved(self._old, old), resolved(self._new, new)
        old_variants, new_variants = _variants(old), _variants(new)
        if len(old_variants) > 1 or len(new_variants) > 1:
            yield from self._of_variants(old_variants, new_variants, place, direction)
            return
        yield from _of_values(_types(old), _types(new), place, "type", direction)
        yield from _of_enums(old, new, place, direction)
        yield from _of_bounds(old, new, place, direction)
        yield from _of_forms(old, new, place, direction)
        yield from self._of_members(old, new, place, direction)
        if isinstance(old.get("items"), Mapping) and isinstance(new.get("items"), Mapping):
            yield from self.changes(old["items"], new["items"], f"{place}[]", direction)

    def _of_variants(self, old: list[Schema], new: list[Schema], place: str, direction: Direction) -> Iterator[Change]:
        olds = {_name(self._old, each): each for each in old}
        news = {_name(self._new, each): each for each in new}
        yield from _of_values(set(olds), set(news), place, "variant", direction)
        for name in olds.keys() & news.keys():
            yield from self.changes(olds[name], news[name], place, direction)

    def _of_members(self, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
        olds, news = old.get("properties", {}), new.get("properties", {})
        was, now = set(old.get("required", ())), set(new.get("required", ()))
        is_sent = direction is Direction.SENT
        for name in sorted(olds.keys() - news.keys()):
            yield Change(True, f"{place}/{name}", "property removed")
        for name in sorted(news.keys() - olds.keys()):
            if is_sent and name in now:
                yield Change(True, f"{place}/{name}", "required property added")
            else:
                yield Change(False, f"{place}/{name}", "property added")
        for name in sorted(olds.keys() & news.keys()):
            if (name in was) is not (name in now):
                what = "property became required" if name in now else "property became optional"
                yield Change((name in now) is is_sent, f"{place}/{name}", what)
            yield from self.changes(olds[name], news[name], f"{place}/{name}", direction)
        if is_sent and _is_closed(new) and not _is_closed(old):
            yield Change(True, place, "unknown properties are refused now")


def resolved(document: Schema, schema: Schema) -> Schema:
    """Give what a `$ref` stands for; what stands beside the reference wins."""
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = {**found, **{name: value for name, value in schema.items() if name != "$ref"}}
    return schema


def _of_values(
    old: set[str] | None, new: set[str] | None, place: str, noun: str, direction: Direction
) -> Iterator[Change]:
    """Compare two sets of what is possible; None: everything is."""
    is_sent = direction is Direction.SENT
    if old is None or new is None:
        if old is not new:
            narrowed = old is None
            yield Change(narrowed is is_sent, place, f"{noun}s {'limited' if narrowed else 'no longer limited'}")
        return
    for value in sorted(old - new):
        yield Change(is_sent, place, f"{noun} {value} removed")
    for value in sorted(new - old):
        yield Change(not is_sent, place, f"{noun} {value} added")


def _of_enums(old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
    yield from _of_values(_enum(old), _enum(new), place, "value", direction)


def _of_bounds(old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
    for keyword, higher_is_narrower in _BOUNDS.items():
        before, after = old.get(keyword), new.get(keyword)
        if before == after:
            continue
        narrowed = before is None
        if before is not None and after is not None:
            narrowed = (after > before) is higher_is_narrower
        yield Change(narrowed is (direction is Direction.SENT), place, f"{keyword} {before} -> {after}")


def _of_forms(old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
    for keyword in _FORMS:
        before, after = old.get(keyword), new.get(keyword)
        if before == after:
            continue
        is_sent = direction is Direction.SENT
        harmless = after is None if is_sent else before is None
        yield Change(not harmless, place, f"{keyword} {before} -> {after}")


def _types(schema: Schema) -> set[str] | None:
    kinds = schema.get("type")
    if kinds is None:
        return None
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    return found | {"integer"} if "number" in found else found


def _enum(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {repr(schema["const"])}
    return {repr(value) for value in schema["enum"]} if "enum" in schema else None


def _variants(schema: Schema) -> list[Schema]:
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return list(schema[keyword])
    return [schema]


def _name(document: Schema, schema: Schema) -> str:
    """Name a variant so that it is found again: by its reference's name, else by its type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kinds = resolved(document, schema).get("type", "any")
    return kinds if isinstance(kinds, str) else ",".join(sorted(kinds))


def _is_closed(schema: Schema) -> bool:
    return schema.get("additionalProperties") is False
