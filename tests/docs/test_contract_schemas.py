"""What a change of each keyword of a JSON Schema means: requests may only take more, answers only hold less."""

from typing import Any, Final

import pytest

from docs.contract.change import Change, Direction
from docs.contract.schemas import Comparison

Json = dict[str, Any]

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
TEXT: Final[Json] = {"type": "string"}
SHORT: Final[Json] = {"type": "string", "maxLength": 9}
NUMBER: Final[Json] = {"type": "integer"}
NULL: Final[Json] = {"type": "null"}
MAP: Final[Json] = {"type": "object", "additionalProperties": TEXT}
LIST: Final[Json] = {"type": "array", "items": TEXT}
CLOSED: Final[Json] = {"type": "object", "additionalProperties": False}
TOLD_APART: Final[Json] = {
    "oneOf": [{"$ref": "#/components/schemas/Text"}],
    "discriminator": {"propertyName": "op", "mapping": {"a": "#/components/schemas/Text"}},
}
TOLD_APART_MORE: Final[Json] = {
    "oneOf": [{"$ref": "#/components/schemas/Text"}, {"$ref": "#/components/schemas/Number"}],
    "discriminator": {
        "propertyName": "op",
        "mapping": {"a": "#/components/schemas/Text", "b": "#/components/schemas/Number"},
    },
}
DOCUMENT: Final[Json] = {"components": {"schemas": {"Text": SHORT, "Number": NUMBER}}}

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
    "exclusiveMinimum raised": ({"exclusiveMinimum": 0}, {"exclusiveMinimum": 1}),
    "maximum lowered": ({"maximum": 2}, {"maximum": 1}),
    "exclusiveMaximum lowered": ({"exclusiveMaximum": 2}, {"exclusiveMaximum": 1}),
    "minLength raised": ({"minLength": 0}, {"minLength": 1}),
    "maxLength": (TEXT, SHORT),
    "minItems raised": ({"minItems": 1}, {"minItems": 2}),
    "maxItems lowered": ({"maxItems": 2}, {"maxItems": 1}),
    "minProperties raised": ({"minProperties": 1}, {"minProperties": 2}),
    "maxProperties lowered": ({"maxProperties": 2}, {"maxProperties": 1}),
    "pattern": (TEXT, TEXT | {"pattern": "^a"}),
    "format": (TEXT, TEXT | {"format": "uuid"}),
    "contentEncoding": (TEXT, TEXT | {"contentEncoding": "base64"}),
    "contentMediaType": (TEXT, TEXT | {"contentMediaType": "application/json"}),
    "multipleOf": (NUMBER, NUMBER | {"multipleOf": 5}),
    "uniqueItems": (LIST, LIST | {"uniqueItems": True}),
    "items": ({"type": "array"}, LIST),
    "items narrowed": (LIST, {"type": "array", "items": SHORT}),
    "no items": ({"type": "array"}, {"type": "array", "items": False}),
    "values of a map": (MAP, MAP | {"additionalProperties": SHORT}),
    "values of a map get a type": ({"type": "object"}, MAP),
    "values of a map, said otherwise": ({"type": "object", "additionalProperties": True}, MAP),
    "a map is closed": (MAP, CLOSED),
    "propertyNames": (MAP, MAP | {"propertyNames": {"maxLength": 3}}),
    "propertyNames narrowed": ({"propertyNames": TEXT}, {"propertyNames": SHORT}),
    "a property narrowed": ({"properties": {"a": TEXT}}, {"properties": {"a": SHORT}}),
    "a property required": ({"properties": {"a": TEXT}}, {"properties": {"a": TEXT}, "required": ["a"]}),
    "a property required that is not described": (MAP, MAP | {"required": ["a"]}),
    "allOf": (MAP, MAP | {"allOf": [{"required": ["a"]}]}),
    "allOf narrowed": ({"allOf": [TEXT]}, {"allOf": [SHORT]}),
    "allOf grown": ({"allOf": [TEXT]}, {"allOf": [TEXT, {"minLength": 1}]}),
    "not": (TEXT, TEXT | {"not": {"const": "a"}}),
    "not widened": ({"not": SHORT}, {"not": TEXT}),
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
    "a variant that is told apart": (TOLD_APART_MORE, TOLD_APART),
    "a reference to what is narrower": (TEXT, {"$ref": "#/components/schemas/Text"}),
    "a narrower keyword beside a reference": (
        {"$ref": "#/components/schemas/Text"},
        {"$ref": "#/components/schemas/Text", "maxLength": 8},
    ),
    "a further keyword beside a reference": (
        {"$ref": "#/components/schemas/Text"},
        {"$ref": "#/components/schemas/Text", "minLength": 1},
    ),
    "nothing is possible": (True, False),
}  # fmt: skip
BREAKING_BOTH_WAYS: Final[dict[str, tuple[Any, Any]]] = {
    "another type": (TEXT, NUMBER),
    "another default": ({"type": "boolean", "default": True}, {"type": "boolean", "default": False}),
    "a default of another type": ({"default": True}, {"default": 1}),
    "a default that was not there": (TEXT, TEXT | {"default": None}),
    "a default beside a reference": (
        {"$ref": "#/components/schemas/Text"},
        {"$ref": "#/components/schemas/Text", "default": "a"},
    ),
    "an edited pattern": ({"pattern": "^a"}, {"pattern": "^b"}),
    "an edited format": ({"format": "date"}, {"format": "time"}),
    "another step": ({"multipleOf": 2}, {"multipleOf": 3}),
    "values of a map of another type": (MAP, MAP | {"additionalProperties": NUMBER}),
    "items of another type": (LIST, LIST | {"items": NUMBER}),
    "another member tells variants apart": (
        TOLD_APART,
        TOLD_APART | {"discriminator": TOLD_APART["discriminator"] | {"propertyName": "kind"}},
    ),
    "a variant has another mark": (
        TOLD_APART,
        TOLD_APART | {"discriminator": {"propertyName": "op", "mapping": {"z": "#/components/schemas/Text"}}},
    ),
    "anyOf for oneOf": ({"anyOf": [TEXT, NULL]}, {"oneOf": [TEXT, NULL]}),
    "something else than what was referred to": ({"$ref": "#/components/schemas/Text"}, NUMBER),
    "dependentRequired": (MAP, MAP | {"dependentRequired": {"a": ["b"]}}),
    "dependentSchemas": (MAP, MAP | {"dependentSchemas": {"a": SHORT}}),
    "patternProperties": (MAP, MAP | {"patternProperties": {"^a": SHORT}}),
    "prefixItems": (LIST, LIST | {"prefixItems": [SHORT]}),
    "contains": (LIST, LIST | {"contains": SHORT}),
    "if": (TEXT, TEXT | {"if": SHORT, "then": False}),
    "unevaluatedProperties": (MAP, MAP | {"unevaluatedProperties": False}),
    "readOnly": (TEXT, TEXT | {"readOnly": True}),
    "a keyword nobody knows": (TEXT, TEXT | {"x-of-ours": 1}),
    "true for 1 in a keyword nobody knows": ({"x-of-ours": 1}, {"x-of-ours": True}),
}  # fmt: skip
FREE: Final[dict[str, tuple[Any, Any]]] = {
    "texts for people": (TEXT, TEXT | {"title": "A", "description": "b", "examples": ["c"], "$comment": "d"}),
    "texts beside a reference": (
        {"$ref": "#/components/schemas/Text"},
        {"$ref": "#/components/schemas/Text", "description": "b"},
    ),
    "what was referred to, written out": ({"$ref": "#/components/schemas/Text"}, SHORT),
    "a variant written out": ({"anyOf": [{"$ref": "#/components/schemas/Text"}, NULL]}, {"anyOf": [SHORT, NULL]}),
    "variants in another order": ({"anyOf": [TEXT, SHORT, NULL]}, {"anyOf": [NULL, SHORT, TEXT]}),
    "what is always true, said": ({"type": "array"}, {"type": "array", "items": {}}),
    "what refers to itself in a keyword nobody knows": (
        {"x-of-ours": {"$ref": "#/components/schemas/Number"}},
        {"x-of-ours": NUMBER},
    ),
}  # fmt: skip


def changes(old: Any, new: Any, direction: Direction) -> list[Change]:
    return list(Comparison(DOCUMENT, DOCUMENT).changes(old, new, "value", direction))


def breaks(old: Any, new: Any, direction: Direction) -> bool:
    found = changes(old, new, direction)
    assert found
    return any(change.is_breaking for change in found)


@pytest.mark.parametrize(("wide", "narrow"), WIDE_AND_NARROW.values(), ids=WIDE_AND_NARROW)
def test_requests_may_only_widen_and_answers_may_only_narrow(wide: Any, narrow: Any) -> None:
    assert breaks(wide, narrow, SENT)
    assert not breaks(wide, narrow, RECEIVED)
    assert breaks(narrow, wide, RECEIVED)
    assert not breaks(narrow, wide, SENT)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("one", "other"), BREAKING_BOTH_WAYS.values(), ids=BREAKING_BOTH_WAYS)
def test_what_no_rule_allows_breaks_both_ways(one: Any, other: Any, direction: Direction) -> None:
    assert breaks(one, other, direction)
    assert breaks(other, one, direction)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("one", "other"), FREE.values(), ids=FREE)
def test_what_means_the_same_is_no_change(one: Any, other: Any, direction: Direction) -> None:
    assert changes(one, other, direction) == []
    assert changes(other, one, direction) == []


def test_a_property_that_was_any_other_member_before_is_held_to_what_those_were() -> None:
    assert breaks(MAP, MAP | {"properties": {"a": NUMBER}}, RECEIVED)
    assert breaks(MAP, MAP | {"properties": {"a": SHORT}}, SENT)
    assert not breaks(CLOSED, CLOSED | {"properties": {"a": SHORT}}, SENT)


def test_a_further_variant_of_a_choice_of_one_may_refuse_what_was_taken() -> None:
    assert breaks({"oneOf": [TEXT, NULL]}, {"oneOf": [TEXT, NULL, NUMBER]}, SENT)
    assert not breaks(TOLD_APART, TOLD_APART_MORE, SENT)


def test_each_use_of_a_reference_is_looked_at() -> None:
    used: Json = {"$ref": "#/components/schemas/Text"}
    old = {"properties": {"a": used, "b": used, "c": used}}
    new = {"properties": {"a": used, "b": used | {"maxLength": 1}, "c": NUMBER}}

    assert {change.place for change in changes(old, new, SENT) if change.is_breaking} == {"value/b", "value/c"}


def test_a_keyword_without_a_rule_is_compared_by_what_it_refers_to() -> None:
    schema = {"dependentSchemas": {"a": {"$ref": "#/components/schemas/Text"}}}
    now = {"components": {"schemas": {"Text": NUMBER}}}

    [found] = Comparison(DOCUMENT, now).changes(schema, schema, "value", SENT)

    assert str(found) == "value: dependentSchemas changed, and no rule allows it: write one in docs/contract"
