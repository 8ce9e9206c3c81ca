"""What a change of a JSON Schema means to clients: breaking, or an addition they need not notice. Pure.

A value that clients *send* may only become less narrow; one that they *get* may only become more so. What cannot be
proved harmless counts as breaking: an edited pattern, and every difference of a keyword that no rule here speaks of.
"""

from collections.abc import Iterator
from typing import Any, Final

from docs.contract.change import NO_RULE, Change, Direction
from docs.contract.keywords import RULED, of_sets, of_values
from docs.contract.references import NOTES, Schema, as_schema, both, resolved, text, unfolded

_UNIONS: Final = ("anyOf", "oneOf")
_MEMBERS: Final = frozenset({"properties", "required", "additionalProperties"})
_OF_EVERY: Final = {"items": "[]", "propertyNames": "{name}"}
_NESTED: Final = frozenset({*_MEMBERS, *_OF_EVERY, "allOf", "not", "discriminator"})


class Comparison:
    """Compares schemas of two documents, each use of a reference by what it leads to there."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old
        self._new = new
        self._under_way: set[tuple[str, str, Direction]] = set()

    def changes(self, old: Any, new: Any, place: str, direction: Direction) -> Iterator[Change]:
        """Return every difference between two schemas of the same value."""
        before, after = resolved(self._old, old), resolved(self._new, new)
        if not before and not after:
            return
        if not _refers(old) and not _refers(new):
            yield from self._of_resolved(old, new, place, direction)
            return
        pair = (text(before), text(after), direction)
        if pair in self._under_way:
            return  # a schema that holds itself: the outer one tells of it
        self._under_way.add(pair)
        yield from self._of_resolved(old, new, place, direction)
        self._under_way.discard(pair)

    def _of_resolved(self, old: Any, new: Any, place: str, direction: Direction) -> Iterator[Change]:
        before, after = resolved(self._old, old), resolved(self._new, new)
        if _union(before) or _union(after):
            yield from self._of_variants(old, new, place, direction)
        else:
            yield from self._of_one(before, after, place, direction)

    def _of_one(self, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
        yield from of_values(old, new, place, direction)
        yield from self._of_members(old, new, place, direction)
        for keyword, step in _OF_EVERY.items():
            yield from self.changes(old.get(keyword), new.get(keyword), f"{place}{step}", direction)
        yield from self._of_parts(old, new, place, direction)
        yield from self._of_not(old, new, place, direction)
        yield from _of_discriminators(old, new, place, direction)
        for keyword in sorted((old.keys() | new.keys()) - NOTES - RULED - _NESTED):
            if not self._is_same(old, new, keyword):
                yield Change(True, place, f"{keyword} {NO_RULE}")

    def _is_same(self, old: Schema, new: Schema, keyword: str) -> bool:
        if (keyword in old) is not (keyword in new):
            return False
        return text(unfolded(self._old, old[keyword])) == text(unfolded(self._new, new[keyword]))

    def _of_parts(self, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
        """Compare what holds all at once (`allOf`), in its order; one part more narrows."""
        olds, news = list(old.get("allOf", ())), list(new.get("allOf", ()))
        for before, after in zip(olds, news, strict=False):
            yield from self.changes(before, after, place, direction)
        if len(olds) != len(news):
            narrowed = len(olds) < len(news)
            what = f"a part of allOf {'added' if narrowed else 'removed'}"
            yield Change(direction.breaks(narrowed=narrowed), place, what)

    def _of_not(self, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
        """Compare what is forbidden: to forbid more narrows."""
        if "not" in old and "not" in new:
            yield from self.changes(old["not"], new["not"], f"{place} not", direction.flipped)
        elif "not" in old or "not" in new:
            narrowed = "not" in new
            what = f"not {'added' if narrowed else 'removed'}"
            yield Change(direction.breaks(narrowed=narrowed), place, what)

    def _of_variants(self, old: Any, new: Any, place: str, direction: Direction) -> Iterator[Change]:
        """Compare what holds one at a time, where one side at least has a choice."""
        olds, news = _variants(self._old, old), _variants(self._new, new)
        kinds = [_union(resolved(self._old, old)), _union(resolved(self._new, new))]
        if all(kinds) and kinds[0] != kinds[1]:
            yield Change(True, place, f"{kinds[0]} became {kinds[1]}: {NO_RULE}")
        pairs = self._pairs(olds, news, direction)
        for before, after in pairs:
            yield from self.changes(before, after, place, direction)
        for before in _without(olds, [before for before, _ in pairs]):
            what = f"variant {_name(self._old, before)} removed"
            yield Change(direction.breaks(narrowed=True), place, what)
        for after in _without(news, [after for _, after in pairs]):
            # a value that fits two of a oneOf is refused: without a discriminator, one more may narrow as well
            overlaps = kinds[1] == "oneOf" and "discriminator" not in resolved(self._new, new)
            what = f"variant {_name(self._new, after)} added"
            yield Change(overlaps or direction.breaks(narrowed=False), place, what)

    def _pairs(self, olds: list[Schema], news: list[Schema], direction: Direction) -> list[tuple[Schema, Schema]]:
        """Find each variant again: the very same one, else one of its name."""
        pairs: list[tuple[Schema, Schema]] = []

        def is_same(before: Schema, after: Schema) -> bool:
            return not list(self.changes(before, after, "", direction))

        def is_namesake(before: Schema, after: Schema) -> bool:
            return _name(self._old, before) == _name(self._new, after)

        for is_it in (is_same, is_namesake):
            for before in _without(olds, [before for before, _ in pairs]):
                free = _without(news, [after for _, after in pairs])
                pairs += [(before, after) for after in free if is_it(before, after)][:1]
        return pairs

    def _of_members(self, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
        olds, news = old.get("properties", {}), new.get("properties", {})
        was, now = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(olds.keys() - news.keys()):
            yield Change(True, f"{place}/{name}", "property removed")
        for name in sorted(news.keys() - olds.keys()):
            breaks = name in now - was and direction is Direction.SENT
            yield Change(breaks, f"{place}/{name}", f"{'required ' if breaks else ''}property added")
            if old.get("additionalProperties") is not False:  # it had a meaning before: that of every other member
                yield from self.changes(old.get("additionalProperties"), news[name], f"{place}/{name}", direction)
        for name in sorted(olds.keys() & news.keys()):
            yield from self.changes(olds[name], news[name], f"{place}/{name}", direction)
        for name in sorted((was ^ now) - (olds.keys() ^ news.keys())):
            what = f"property became {'required' if name in now else 'optional'}"
            yield Change(direction.breaks(narrowed=name in now), f"{place}/{name}", what)
        yield from self._of_others(old, new, place, direction)

    def _of_others(self, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
        """Compare what an object may hold beside its properties."""
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if (before is False) is (after is False):
            if before is not False:
                yield from self.changes(before, after, f"{place}/*", direction)
            return
        narrowed = after is False
        what = f"unknown properties are {'refused' if narrowed else 'possible'} now"
        yield Change(direction.breaks(narrowed=narrowed), place, what)


def _refers(schema: Any) -> bool:
    return "$ref" in as_schema(schema)


def _union(schema: Schema) -> str | None:
    """Return the keyword that offers a choice; where there are two, the second is a choice of each of its variants."""
    return next((keyword for keyword in _UNIONS if keyword in schema), None)


def _variants(document: Schema, schema: Any) -> list[Schema]:
    """Return what a value may be, each with what stands beside the choice; a schema without one is its only variant."""
    whole = resolved(document, schema)
    keyword = _union(whole)
    if keyword is None:
        return [as_schema(schema)]
    run_in_background = {name: value for name, value in whole.items() if name != keyword and name not in NOTES}
    return [both(as_schema(each), run_in_background) for each in whole[keyword]]


def _name(document: Schema, schema: Schema) -> str:
    """Name a variant so that it is found again: by its reference's name, else by its type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kinds = resolved(document, schema).get("type", "any")
    return kinds if isinstance(kinds, str) else ",".join(sorted(kinds))


def _without(all_of: list[Schema], taken: list[Schema]) -> list[Schema]:
    """Leave out those very objects (an equal one may stand twice)."""
    ids = {id(each) for each in taken}
    return [each for each in all_of if id(each) not in ids]


def _of_discriminators(old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
    """Compare how a reader tells variants apart: marks may come and go with the variants, nothing else may move."""
    before, after = dict(old.get("discriminator", {})), dict(new.get("discriminator", {}))
    olds, news = before.pop("mapping", {}), after.pop("mapping", {})
    if text(before) != text(after) or any(olds[mark] != news[mark] for mark in olds.keys() & news.keys()):
        yield Change(True, place, f"discriminator {NO_RULE}")
    yield from of_sets(set(olds), set(news), place, "discriminator value", direction)
