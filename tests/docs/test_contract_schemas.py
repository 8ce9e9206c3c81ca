"""What a change of each keyword of a JSON Schema means: requests may only take more, responses only hold less."""

from typing import Any, Final

import pytest

from docs.contract.change import Change, Direction
from docs.contract.references import unfolded
from docs.contract.schemas import of_schemas

Json = dict[str, Any]

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
TEXT: Final[Json] = {"type": "string"}
SHORT: Final[Json] = {"type": "string", "maxLength": 9}
NUMBER: Final[Json] = {"type": "integer"}
NULL: Final[Json] = {"type": "null"}
MAP: Final[Json] = {"type": "object", "additionalProperties": TEXT}
LIST: Final[Json] = {"type": "array", "items": TEXT}
CLOSED: Final[Json] = {"type": "object", "additionalProperties": False}
USED: Final[Json] = {"$ref": "#/components/schemas/Text"}
COMPONENTS: Final[Json] = {"components": {"schemas": {"Text": SHORT, "Number": NUMBER}}}
MARKED: Final[Json] = {"oneOf": [TEXT], "discriminator": {"propertyName": "op", "mapping": {"a": "#/Text"}}}
MARKED_MORE: Final[Json] = {
    "oneOf": [TEXT, NUMBER],
    "discriminator": {"propertyName": "op", "mapping": {"a": "#/Text", "b": "#/Number"}},
}

WIDE_AND_NARROW: Final[dict[str, tuple[Any, Any]]] = {
    "type is named": ({}, TEXT),
    "a type less": ({"type": ["string", "null"]}, TEXT),
    "integers of all numbers": ({"type": "number"}, NUMBER),
    "values are listed": (TEXT, TEXT | {"enum": ["a"]}),
    "a value less": ({"enum": ["a", "b"]}, {"enum": ["a"]}),
    "one value of several": ({"enum": ["a", "b"]}, {"const": "a"}),
    "one value of several, beside them": ({"enum": ["a", "b"]}, {"enum": ["a", "b"], "const": "a"}),
    "minimum": (NUMBER, NUMBER | {"minimum": 0}),
    "minimum raised": ({"minimum": 0}, {"minimum": 1}),
    "maximum lowered": ({"maximum": 2}, {"maximum": 1}),
    "minLength raised": ({"minLength": 0}, {"minLength": 1}),
    "maxLength": (TEXT, SHORT),
    "minItems raised": ({"minItems": 1}, {"minItems": 2}),
    "maxItems lowered": ({"maxItems": 2}, {"maxItems": 1}),
    "minProperties raised": ({"minProperties": 1}, {"minProperties": 2}),
    "maxProperties lowered": ({"maxProperties": 2}, {"maxProperties": 1}),
    "pattern": (TEXT, TEXT | {"pattern": "^a"}),
    "format": (TEXT, TEXT | {"format": "uuid"}),
    "items": ({"type": "array"}, LIST),
    "items narrowed": (LIST, {"type": "array", "items": SHORT}),
    "no items": ({"type": "array"}, {"type": "array", "items": False}),
    "values of a map": (MAP, MAP | {"additionalProperties": SHORT}),
    "values of a map get a type": ({"type": "object", "additionalProperties": True}, MAP),
    "a map is closed": (MAP, CLOSED),
    "an object is closed": ({"type": "object"}, CLOSED),
    "a property narrowed": ({"properties": {"a": TEXT}}, {"properties": {"a": SHORT}}),
    "a property required": ({"properties": {"a": TEXT}}, {"properties": {"a": TEXT}, "required": ["a"]}),
    "a property required that is not described": (MAP, MAP | {"required": ["a"]}),
    "a property that was any other before": (MAP, MAP | {"properties": {"a": SHORT}}),
    "a variant less": ({"anyOf": [TEXT, NULL]}, {"anyOf": [TEXT]}),
    "the only variant left": ({"anyOf": [TEXT, NULL]}, TEXT),
    "the first of two variants of one type": ({"anyOf": [NUMBER, SHORT, TEXT]}, {"anyOf": [NUMBER, TEXT]}),
    "a variant narrowed": ({"anyOf": [TEXT, NULL]}, {"anyOf": [SHORT, NULL]}),
    "the first of two of one type narrowed": (
        {"oneOf": [TEXT | {"minLength": 99}, SHORT]},
        {"oneOf": [TEXT | {"minLength": 100}, SHORT]},
    ),
    "what stands beside variants": ({"anyOf": [TEXT, NULL]}, {"anyOf": [TEXT, NULL], "maxLength": 9}),
    "what stands beside variants narrowed": ({"anyOf": [TEXT], "maxLength": 9}, {"anyOf": [TEXT], "maxLength": 8}),
    "a marked variant less": (MARKED_MORE, MARKED),
    "a reference to what is narrower": (TEXT, USED),
    "a further keyword beside a reference": (USED, USED | {"minLength": 1}),
    "nothing is possible": (True, False),
}
REFUSED: Final[dict[str, tuple[Any, Any]]] = {
    "another type": (TEXT, NUMBER),
    "another default": ({"default": True}, {"default": False}),
    "a default of another type": ({"default": True}, {"default": 1}),
    "a default that was not there": (TEXT, TEXT | {"default": None}),
    "a default beside a reference": (USED, USED | {"default": "a"}),
    "an edited pattern": ({"pattern": "^a"}, {"pattern": "^b"}),
    "an edited format": ({"format": "date"}, {"format": "time"}),
    "values of a map of another type": (MAP, MAP | {"additionalProperties": NUMBER}),
    "items of another type": (LIST, LIST | {"items": NUMBER}),
    "another member marks variants": (MARKED, MARKED | {"discriminator": {"propertyName": "kind", "mapping": {}}}),
    "a variant has another mark": (
        MARKED,
        MARKED | {"discriminator": {"propertyName": "op", "mapping": {"z": "#/Text"}}},
    ),
    "anyOf for oneOf": ({"anyOf": [TEXT, NULL]}, {"oneOf": [TEXT, NULL]}),
    "something else than what was referred to": (USED, NUMBER),
    "another bound beside a reference": (USED, USED | {"maxLength": 8}),
    "a keyword without a rule": (TEXT, TEXT | {"not": {"const": "a"}}),
    "a keyword that nobody knows": (TEXT, TEXT | {"x-of-ours": 1}),
    "true for 1 in a keyword that nobody knows": ({"x-of-ours": 1}, {"x-of-ours": True}),
    "another reference in a keyword without a rule": (
        {"contains": USED},
        {"contains": {"$ref": "#/components/schemas/Number"}},
    ),
}
SAME: Final[dict[str, tuple[Any, Any]]] = {
    "texts for people": (TEXT, TEXT | {"title": "A", "description": "b", "examples": ["c"], "deprecated": True}),
    "texts beside a reference": (USED, USED | {"description": "b"}),
    "what was referred to, written out": (USED, SHORT),
    "a variant written out": ({"anyOf": [USED, NULL]}, {"anyOf": [SHORT, NULL]}),
    "variants in another order": ({"anyOf": [TEXT, SHORT, NULL]}, {"anyOf": [NULL, SHORT, TEXT]}),
    "what is always true, written": ({"type": "array"}, {"type": "array", "items": {}}),
    "a reference written out in a keyword without a rule": ({"contains": USED}, {"contains": SHORT}),
}


def changes(old: Any, new: Any, way: Direction) -> list[Change]:
    before, after = (unfolded({"paths": schema, **COMPONENTS})["paths"] for schema in (old, new))
    return list(of_schemas(before, after, "value", way))


def breaks(old: Any, new: Any, way: Direction) -> bool:
    found = changes(old, new, way)
    assert found
    return any(change.is_breaking for change in found)


@pytest.mark.parametrize(("wide", "narrow"), WIDE_AND_NARROW.values(), ids=WIDE_AND_NARROW)
def test_requests_may_only_widen_and_responses_may_only_narrow(wide: Any, narrow: Any) -> None:
    assert (breaks(wide, narrow, SENT), breaks(narrow, wide, RECEIVED)) == (True, True)
    if "properties" not in str(narrow) or "properties" in str(wide):  # a property that goes breaks either way
        assert (breaks(wide, narrow, RECEIVED), breaks(narrow, wide, SENT)) == (False, False)


@pytest.mark.parametrize("way", Direction)
@pytest.mark.parametrize(("one", "other"), REFUSED.values(), ids=REFUSED)
def test_what_no_rule_allows_breaks_both_ways(one: Any, other: Any, way: Direction) -> None:
    assert (breaks(one, other, way), breaks(other, one, way)) == (True, True)


@pytest.mark.parametrize("way", Direction)
@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_what_means_the_same_is_no_change(one: Any, other: Any, way: Direction) -> None:
    assert (changes(one, other, way), changes(other, one, way)) == ([], [])


def test_a_new_property_is_held_to_what_any_other_was_before() -> None:
    assert breaks(MAP, MAP | {"properties": {"a": NUMBER}}, RECEIVED)
    assert not breaks(CLOSED, CLOSED | {"properties": {"a": SHORT}}, SENT)


def test_a_further_variant_without_a_mark_may_refuse_what_was_taken() -> None:
    assert breaks({"oneOf": [TEXT, NULL]}, {"oneOf": [TEXT, NULL, NUMBER]}, SENT)
    assert not breaks(MARKED, MARKED_MORE, SENT)


def test_each_use_of_a_reference_is_compared() -> None:
    old = {"properties": {"a": USED, "b": USED, "c": USED}}
    new = {"properties": {"a": USED, "b": USED | {"minLength": 1}, "c": NUMBER}}

    assert {change.place for change in changes(old, new, SENT) if change.is_breaking} == {"value/b", "value/c"}
