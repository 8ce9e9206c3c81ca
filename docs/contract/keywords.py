"""What a change of one keyword of a JSON Schema means whose value is no schema. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from docs.contract.change import Change, Direction
from docs.contract.references import Schema, text

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
# what either holds or does not: to ask for it narrows, to ask no longer widens, and an edit may do both
_FORMS: Final = ("pattern", "format", "contentEncoding", "contentMediaType", "multipleOf")
RULED: Final = frozenset({*_BOUNDS, *_FORMS, "type", "enum", "const", "uniqueItems", "default", "deprecated"})


def of_values(old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
    """Return the differences of all keywords in RULED."""
    yield from of_sets(_types(old), _types(new), place, "type", direction)
    yield from of_sets(_enum(old), _enum(new), place, "value", direction)
    yield from _of_bounds(old, new, place, direction)
    yield from _of_forms(old, new, place, direction)
    if bool(old.get("uniqueItems")) is not bool(new.get("uniqueItems")):
        narrowed = bool(new.get("uniqueItems"))
        what = f"items {'must differ now' if narrowed else 'need not differ any more'}"
        yield Change(direction.breaks(narrowed=narrowed), place, what)
    if written(old, "default") != written(new, "default"):
        # what is left out means something else now, and generated clients fill in what they do not get
        yield Change(True, place, f"default {written(old, 'default')} -> {written(new, 'default')}")
    if bool(old.get("deprecated")) is not bool(new.get("deprecated")):
        yield Change(False, place, "deprecated" if new.get("deprecated") else "no longer deprecated")


def of_sets(
    old: set[str] | None, new: set[str] | None, place: str, noun: str, direction: Direction
) -> Iterator[Change]:
    """Compare two sets of what is possible; None: everything is."""
    if old is None or new is None:
        if old is not new:
            narrowed = old is None
            what = f"{noun}s {'limited' if narrowed else 'no longer limited'}"
            yield Change(direction.breaks(narrowed=narrowed), place, what)
        return
    for value in sorted(old - new):
        yield Change(direction.breaks(narrowed=True), place, f"{noun} {value} removed")
    for value in sorted(new - old):
        yield Change(direction.breaks(narrowed=False), place, f"{noun} {value} added")


def written(schema: Schema, keyword: str) -> str:
    """Return a keyword's value as JSON, or say that there is none."""
    return text(schema[keyword]) if keyword in schema else "none"


def _of_bounds(old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
    for keyword, higher_is_narrower in _BOUNDS.items():
        if written(old, keyword) == written(new, keyword):
            continue
        before, after = old.get(keyword), new.get(keyword)
        narrowed = before is None
        if before is not None and after is not None:
            narrowed = (after > before) is higher_is_narrower
        yield Change(direction.breaks(narrowed=narrowed), place, f"{keyword} {before} -> {after}")


def _of_forms(old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
    for keyword in _FORMS:
        before, after = old.get(keyword), new.get(keyword)
        if before == after:
            continue
        is_edited = before is not None and after is not None
        breaks = is_edited or direction.breaks(narrowed=before is None)
        yield Change(breaks, place, f"{keyword} {before} -> {after}")


def _types(schema: Schema) -> set[str] | None:
    kinds = schema.get("type")
    if kinds is None:
        return None
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    return found | {"integer"} if "number" in found else found


def _enum(schema: Schema) -> set[str] | None:
    """Return the values that are possible; a value is written as in Python, which needs no escapes in TOML."""
    listed: list[Any] | None = schema.get("enum")
    if "const" in schema:
        listed = [schema["const"]] if listed is None or schema["const"] in listed else []
    return None if listed is None else {repr(value) for value in listed}
