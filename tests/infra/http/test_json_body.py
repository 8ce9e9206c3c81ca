"""A body is strict JSON or a catalogued refusal; nothing in between, and nothing slow."""

import json
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.http.json_body import MAX_DEPTH, MAX_MEMBERS, Json, JsonBody, parse_json
from infra.http.problems import Problem

REFUSED = {
    "nothing": (b"", "body_empty"),
    "only spaces": (b" \r\n\t ", "body_empty"),
    "half an object": (b"{", "malformed_json"),
    "a trailing comma": (b'{"a":1,}', "malformed_json"),
    "a bare word": (b"orders", "malformed_json"),
    "single quotes": (b"{'a':1}", "malformed_json"),
    "a comment": (b'{"a":1} // b', "malformed_json"),
    "two values": (b"{} {}", "malformed_json"),
    "a vertical tab as space": (b"\x0b{}", "malformed_json"),
    "a raw control byte in a string": (b'{"a":"\x01"}', "malformed_json"),
    "a raw newline in a string": (b'{"a":"\n"}', "malformed_json"),
    "a leading zero": (b'{"a":01}', "malformed_json"),
    "a leading plus": (b'{"a":+1}', "malformed_json"),
    "a hexadecimal number": (b'{"a":0x10}', "malformed_json"),
    "NaN": (b'{"a":NaN}', "malformed_json"),
    "Infinity": (b'{"a":Infinity}', "malformed_json"),
    "-Infinity": (b'{"a":-Infinity}', "malformed_json"),
    "an overflowing exponent": (b'{"a":1e999}', "number_out_of_range"),
    "an integer of 4,301 digits": (b'{"a":' + b"9" * 4301 + b"}", "number_out_of_range"),
    "an integer of 1,000,000 digits": (b'{"a":' + b"9" * 1_000_000 + b"}", "number_out_of_range"),
    "an UTF-8 mark": (b"\xef\xbb\xbf{}", "body_not_utf8"),
    "UTF-16 with a mark": ('{"a":1}'.encode("utf-16"), "body_not_utf8"),
    "UTF-16 without a mark": ('{"a":1}'.encode("utf-16-le"), "body_not_utf8"),
    "big-endian UTF-16 without a mark": ('{"a":1}'.encode("utf-16-be"), "body_not_utf8"),
    "UTF-32": ('{"a":1}'.encode("utf-32"), "body_not_utf8"),
    "Latin-1": (b'{"a":"\xe9"}', "body_not_utf8"),
    "an overlong encoding": (b'{"a":"\xc0\xaf"}', "body_not_utf8"),
    "an encoded surrogate": (b'{"a":"\xed\xa0\x80"}', "body_not_utf8"),
    "an escaped lone surrogate": (rb'{"a":"\ud800"}', "invalid_unicode"),
    "an escaped lone surrogate in a key": (rb'{"\udc00":1}', "invalid_unicode"),
    "an escaped null character": (rb'{"a":"\u0000"}', "invalid_unicode"),
    "an escaped null character in a key": (rb'{"a\u0000":1}', "invalid_unicode"),
    "a key twice": (b'{"a":1,"a":1}', "duplicate_json_key"),
    "a key twice deep inside": (b'{"a":[{"b":1,"c":2,"b":3}]}', "duplicate_json_key"),
    "a key twice, once escaped": (rb'{"a":1,"\u0061":2}', "duplicate_json_key"),
    "nesting of 17": (b"[" * 17 + b"]" * 17, "json_too_complex"),
    "nesting of 900": (b"[" * 900 + b"]" * 900, "json_too_complex"),
    "nesting of 10^6": (b"[" * 500_000 + b"]" * 500_000, "json_too_complex"),
    "unclosed nesting of 10^6": (b'{"a":' * 200_000, "json_too_complex"),
    "10^5 empty lists": (b'{"lines":[' + b"[]," * 100_000 + b"[]]}", "json_too_complex"),
    "10^5 empty objects in broken text": (b'{"lines": [' + b"{}," * 100_000, "json_too_complex"),
    "2 x 10^5 numbers": (b'{"lines": [' + b"1," * 200_000 + b"1]}", "json_too_complex"),
    "10^5 members": (b"{" + b",".join(b'"%d":1' % i for i in range(100_000)) + b"}", "json_too_complex"),
}


@pytest.mark.parametrize(("body", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_strict_json_is_refused_with_its_code_and_at_once(body: bytes, code: str) -> None:
    started_s = time.thread_time()  # of this thread alone: a machine that stalls does not count

    with pytest.raises(Problem) as refused:
        parse_json(body)

    assert (refused.value.kind.code, refused.value.kind.status) == (code, 400)
    assert time.thread_time() - started_s < 1.0


ACCEPTED = {
    "an object": (b'{"a":[1,-2.5,true,false,null,"x"]}', {"a": [1, -2.5, True, False, None, "x"]}),
    "spaces around": (b' \r\n\t{ "a" : 1 } ', {"a": 1}),
    "the deepest nesting": (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]),
    "many shallow objects": (b'{"a":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]}', {"a": [{}] * 18}),
    "the largest integer": (b'{"a":9223372036854775807}', {"a": 2**63 - 1}),
    "the smallest integer": (b'{"a":-9223372036854775808}', {"a": -(2**63)}),
    "a whole surrogate pair": (rb'{"a":"\ud83d\ude00"}', {"a": "\U0001f600"}),
    "the text \\u0000 behind an escaped backslash": (rb'{"a":"\\u0000"}', {"a": "\\u0000"}),
    "brackets inside a string": (b'{"a":"' + b"[" * 100 + b'"}', {"a": "[" * 100}),
}


@pytest.mark.parametrize(("body", "value"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_strict_json_is_parsed(body: bytes, value: object) -> None:
    assert parse_json(body).value == value


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"a": 1,\n "b" 2}', "Line 2, column 6: Expecting ':' delimiter."),
        (b'{"a": 1,}', "Line 1, column "),
        ('{"\u00e9": "\u00e9", x}'.encode(), "Line 1, column 12"),
        (b'{"a": "b\nc"}', "Line 1, column 9: Invalid control character."),
        (b'{"a": 1} 2', "Line 1, column 10: Extra data."),
        (b'{"NaN": "NaN \\" NaN",\n\n  "b": NaN}', "Line 3, column 8."),
        (b'{"a": [1, -Infinity]}', "Line 1, column 11."),
        (b'{"a": 0.9223372036854775808, "b":\n9223372036854775808}', "Line 2, column 1."),
        (b'{"a": 1e999}', "Line 1, column 7."),
        (b'{"a": ' + b"9" * 100_000 + b"}", "Line 1, column 7."),
        (b'{"a":\n"b\\u0000"}', "Line 2, column 3."),
        (b'{"note":\n"ab\\udc00x"}', "Line 2, column 4."),
        (b'{"a":"\\ud83d\\ude00\\ud83dx"}', "Line 1, column 19."),
        (b'{"a":"\\\\ud800", "\\uDFff":1}', "Line 1, column 18."),
        (b'{"a": "\xff"}', "The byte at index 7 is none of it."),
        (b'{"a": 1, "b": {"key": 1, "key": 2}}', 'It is "key". Line 1, column 26.'),
        (b'[{"a": "{", "b": 1},\n{"b": "b", "a": ["b"], "\\u0062" : 1}]', 'It is "b". Line 2, column 24.'),
        (b'{"a": 1} [', "Line 1, column 10: Extra data."),
        (b'{"[": ' + b"[" * 16 + b"1" + b"]" * 16 + b"}", "The body nests deeper than 16. Line 1, column 22."),
        (b"[" * 100_000, "The body has over 32,768 objects and lists."),
        (b"[" * 20_000, "The body nests deeper than 16. Line 1, column 17."),
        (b"[" + b"1," * 150_000 + b"1]", "The body has over 131,072 commas."),
        (
            b'{"a":\n{' + b",".join(b'"%d":1' % n for n in range(100, 400)) + b"}}",
            "An object has over 256 members. Line 2, column 2050.",
        ),
    ],
)
def test_a_refusal_says_where(body: bytes, place: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_json(body)

    assert place in refused.value.detail


def test_a_key_that_is_not_plain_is_not_repeated() -> None:
    with pytest.raises(Problem) as refused:
        parse_json(b'{"<b>": 1, "<b>": 2}')

    assert refused.value.detail == "An object in the body has the same key twice. Line 1, column 12."


def test_spacing_key_order_and_escapes_do_not_change_the_canonical_form() -> None:
    one = parse_json(b'{"b": {"d": 1, "c": "\\u00e9"}, "a": [1, 2]}')
    other = parse_json('{"a":[1,2],"b":{"c":"é","d":1}}'.encode())

    assert one == other == JsonBody({"a": [1, 2], "b": {"c": "é", "d": 1}}, '{"a":[1,2],"b":{"c":"é","d":1}}'.encode())


def test_another_value_or_another_order_of_a_list_changes_the_canonical_form() -> None:
    bodies = [b'{"a":[1,2]}', b'{"a":[2,1]}', b'{"a":["1",2]}', b'{"a":[1.0,2]}', b'{"a":[true,2]}']

    assert len({parse_json(body).canonical for body in bodies}) == len(bodies)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_one_value_in_every_spelling_is_one_body(value: Json) -> None:
    """The fast way is taken by the first spelling alone."""
    spellings = [
        orjson.dumps(value),
        orjson.dumps(value, option=orjson.OPT_INDENT_2),
        json.dumps(value).encode(),
        json.dumps(value, ensure_ascii=False, separators=(", ", " : ")).encode() + b"\n",
    ]
    bodies = [parse_json(spelling) for spelling in spellings]
    assert bodies == [JsonBody(value, orjson.dumps(value, option=orjson.OPT_SORT_KEYS))] * len(spellings)


@given(st.lists(st.tuples(st.sampled_from("abc"), VALUES), min_size=1, max_size=4))
def test_a_key_twice_is_refused_in_the_tightest_spelling_too(members: list[tuple[str, object]]) -> None:
    body = b"{%b}" % b",".join(orjson.dumps(key) + b":" + orjson.dumps(value) for key, value in members)

    if len({key for key, _ in members}) == len(members):
        assert parse_json(body).value == dict(members)
    else:
        with pytest.raises(Problem) as refused:
            parse_json(body)
        assert refused.value.kind.code == "duplicate_json_key"


def test_an_object_of_many_members_is_refused_wherever_it_stands_and_many_small_ones_are_not() -> None:
    wide = {str(number): number for number in range(MAX_MEMBERS + 1)}
    small = {"orders": [{"a": 1, "b": {"c": 2}}] * MAX_MEMBERS}

    assert parse_json(orjson.dumps(small)).value == small
    with pytest.raises(Problem) as refused:
        parse_json(orjson.dumps({"orders": [{"metadata": wide}]}))
    assert refused.value.kind.code == "json_too_complex"


def test_as_many_of_the_smallest_lines_as_fill_a_body_are_parsed() -> None:
    lines = [{"sku": "A", "quantity": 1, "unit_price": "1.00"}] * 22_000
    body = orjson.dumps({"lines": lines})

    assert len(body) < 1024 * 1024 < len(body) * 1.1
    assert parse_json(body).value == {"lines": lines}


@pytest.mark.parametrize("digits", ["9223372036854775808", "18446744073709551615"])
@pytest.mark.parametrize("template", ['{"a":%s}', "[%s]", "[1,%s]", "%s"])
def test_numbers_beyond_63_bits_are_refused_wherever_they_stand(digits: str, template: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_json((template % digits).encode())

    assert refused.value.kind.code == "number_out_of_range"
