"""What a change of a JSON Schema means to clients. Pure; schemas come without references.

Rules are written for the keywords that our documents use. Every other keyword may not change at all, and what cannot
be proved harmless, such as an edited pattern, counts as breaking.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from docs.contract.change import NOTES, Change, Direction, Json, of_names, of_the_rest, written
from docs.contract.references import both

_BOUND: Final = re.compile(r"(min|max)(imum|Length|Items|Properties)")
_FORMS: Final = ("pattern", "format")
_UNIONS: Final = ("anyOf", "oneOf")
_RULED: Final = ("type", "enum", "const", "properties", "required", "items", "additionalProperties")


def of_schemas(old: Any, new: Any, place: str, way: Direction) -> Iterator[Change]:
    """Return every difference between two schemas of the same value."""
    if (old is False) is not (new is False):
        yield way.change(place, f"{'no longer ' if new is False else 'now '}possible", narrowed=new is False)
        return
    before, after = (each if isinstance(each, dict) else {} for each in (old, new))
    if _union(before) or _union(after):
        yield from _of_variants(before, after, place, way)
        return
    yield from _of_sets(_types(before), _types(after), place, "type", way)
    yield from _of_sets(_values(before), _values(after), place, "value", way)
    yield from _of_properties(before, after, place, way)
    for keyword, step in (("items", "[]"), ("additionalProperties", "/*")):
        if keyword in before or keyword in after:
            yield from of_schemas(before.get(keyword, True), after.get(keyword, True), place + step, way)
    limits = {each for each in before.keys() | after.keys() if _BOUND.fullmatch(each) or each in _FORMS}
    for keyword in sorted(limits):
        yield from _of_limit(keyword, before.get(keyword), after.get(keyword), place, way)
    yield from of_the_rest(before, after, place, *_RULED, *limits)


def _of_limit(keyword: str, old: Any, new: Any, place: str, way: Direction) -> Iterator[Change]:
    """Compare what lets less through when it is there: a bound by its size, a form only by whether it is there."""
    what = f"{keyword} {old} -> {new}"
    if old is None or new is None:
        yield way.change(place, what, narrowed=old is None)
    elif old != new and keyword in _FORMS:
        yield Change(True, place, what)
    elif old != new:
        yield way.change(place, what, narrowed=(new > old) is keyword.startswith("min"))


def _of_sets(old: set[str] | None, new: set[str] | None, place: str, noun: str, way: Direction) -> Iterator[Change]:
    """Compare two sets of what is possible; None: everything is."""
    if old is None or new is None:
        if old is not new:
            yield way.change(
                place, f"{noun}s {'limited' if old is None else 'no longer limited'}", narrowed=old is None
            )
        return
    for each in sorted(old ^ new):
        yield way.change(place, f"{noun} {each} {'removed' if each in old else 'added'}", narrowed=each in old)


def _types(schema: Json) -> set[str] | None:
    kinds = schema.get("type")
    found = {kinds} if isinstance(kinds, str) else set(kinds or ())
    return (found | {"integer"} if "number" in found else found) or None


def _values(schema: Json) -> set[str] | None:
    """Return the values that are listed, as in Python, which needs no escapes in TOML."""
    listed: list[Any] | None = schema.get("enum")
    if "const" in schema:
        listed = [schema["const"]] if listed is None or schema["const"] in listed else []
    return None if listed is None else {repr(value) for value in listed}


def _of_properties(old: Json, new: Json, place: str, way: Direction) -> Iterator[Change]:
    olds, news = old.get("properties", {}), new.get("properties", {})
    yield from of_names(olds, news, f"{place}/", "property")
    for name in sorted(news):  # a new one had a meaning before if others were possible
        before = olds.get(name, old.get("additionalProperties", True))
        if before is not False or name in olds:
            yield from of_schemas(before, news[name], f"{place}/{name}", way)
    was, now = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted((was ^ now) - (olds.keys() - news.keys())):
        what = f"became {'required' if name in now else 'optional'}"
        yield way.change(f"{place}/{name}", what, narrowed=name in now)


def _of_variants(old: Json, new: Json, place: str, way: Direction) -> Iterator[Change]:
    """Compare schemas of which one at least offers a choice: the same variant, else the one of the same name."""
    kinds = {union for each in (old, new) for union in [_union(each)] if union}
    if len(kinds) > 1:
        yield Change(True, place, "anyOf and oneOf are not the same")
        return
    olds, news = _variants(old), _variants(new)
    pairs_by: tuple[Callable[[Json, Json], bool], ...] = (
        lambda one, other: not any(of_schemas(one, other, place, way)),
        lambda one, other: _name(one) == _name(other),
    )
    for is_pair in pairs_by:
        for before in list(olds):
            after = next((each for each in news if is_pair(before, each)), None)
            if after is not None:
                olds.remove(before)
                news.remove(after)
                yield from of_schemas(before, after, place, way)
    for before in olds:
        yield way.change(place, f"variant {_name(before)} removed", narrowed=True)
    for after in news:  # what fits two variants of a oneOf is refused, unless a mark tells them apart
        added = way.change(place, f"variant {_name(after)} added", narrowed=False)
        is_told_apart = "oneOf" not in new or "discriminator" in new
        yield added if is_told_apart else Change(True, place, added.what)
    yield from _of_discriminators(old.get("discriminator", {}), new.get("discriminator", {}), place, way)


def _union(schema: Json) -> str | None:
    return next((union for union in _UNIONS if union in schema), None)


def _variants(schema: Json) -> list[Json]:
    """Return what a value may be, each with what stands beside the choice; without a choice, the schema itself."""
    union = _union(schema)
    if union is None:
        return [schema]
    beside = {name: value for name, value in schema.items() if name not in {union, "discriminator", *NOTES}}
    return [both(each, beside) for each in schema[union]]


def _name(schema: Json) -> str:
    return str(schema.get("title") or written(schema.get("type", "any")))


def _of_discriminators(old: Json, new: Json, place: str, way: Direction) -> Iterator[Change]:
    """Compare how variants are told apart: marks come and go with their variants, nothing else may change."""
    marks = [{written(mark) for mark in each.get("mapping", {}).items()} for each in (old, new)]
    yield from _of_sets(marks[0], marks[1], place, "discriminator", way)
    yield from of_the_rest(old, new, place, "mapping")
