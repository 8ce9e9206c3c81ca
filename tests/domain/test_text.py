"""What may stand in a text field, and that nothing else gets in."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import text
from domain.errors import TextError

NAMES = [text.sku, text.external_reference]
TEXTS = [*NAMES, text.reason]


def refusal(rule: Callable[[str], str], value: str) -> str:
    with pytest.raises(TextError) as refused:
        rule(value)
    assert value not in refused.value.detail or len(value) <= 1, "a detail never repeats the input"
    return refused.value.code


@pytest.mark.parametrize(
    "value", ["A", "85123A", "LANTERN-1 red", "漢字", "naïve", "हिन्दी", "🚚", '=HYPERLINK("x")', "@SUM(A1)"]
)
@pytest.mark.parametrize("rule", TEXTS)
def test_texts_in_any_script_are_kept(rule: Callable[[str], str], value: str) -> None:
    assert rule(value) == value


@pytest.mark.parametrize("rule", TEXTS)
def test_an_nfd_twin_is_the_same_text(rule: Callable[[str], str]) -> None:
    nfd = unicodedata.normalize("NFD", "Café-Å")
    assert nfd != "Café-Å"
    assert rule(nfd) == "Café-Å"


@pytest.mark.parametrize(
    "character",
    [
        "\x00", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", "\x9b",  # control
        "\u200b", "\u200d", "\u200e", "\u202e", "\u2066", "\u00ad", "\ufeff", "\U000e0041",  # format, bidi, tags
        "\u2028", "\u2029",  # separators
        "\ud800",  # surrogates
        "\ue000", "\U0010fffd",  # private use
        "\uffff", "\U0001ffff", "\u0378",  # never assigned
    ],
)  # fmt: skip
@pytest.mark.parametrize("rule", TEXTS)
@pytest.mark.parametrize("shape", ["a{}b", "{}", "é{}"])
def test_control_format_surrogate_and_unassigned_characters_are_refused(
    rule: Callable[[str], str], character: str, shape: str
) -> None:
    assert refusal(rule, shape.format(character)) == "text_character"


@pytest.mark.parametrize("rule", TEXTS)
def test_combining_marks_need_a_base_and_are_few(rule: Callable[[str], str]) -> None:
    assert refusal(rule, "\u0301a") == "text_marks"
    assert refusal(rule, "q" + "\u0323" * 9) == "text_marks"
    assert rule("q" + "\u0323" * 8) == "q" + "\u0323" * 8


@pytest.mark.parametrize("rule", TEXTS)
def test_a_flood_of_marks_is_refused_by_length_before_it_is_normalised(rule: Callable[[str], str]) -> None:
    assert refusal(rule, "a" + "\u0301" * 100_000) == "text_too_long"


@pytest.mark.parametrize(("rule", "most"), [(text.sku, 64), (text.external_reference, 128), (text.reason, 500)])
def test_lengths_are_bounded_in_characters(rule: Callable[[str], str], most: int) -> None:
    assert rule("漢" * most) == "漢" * most
    assert refusal(rule, "漢" * (most + 1)) == "text_too_long"
    assert refusal(rule, "") == "text_empty"


def test_a_text_that_grows_when_normalised_still_keeps_its_bound() -> None:
    grows = "\u0958" * 64  # NFC writes it as two code points
    assert refusal(text.sku, grows) == "text_too_long"


@pytest.mark.parametrize("rule", NAMES)
@pytest.mark.parametrize("value", [" A", "A ", " ", "A\u00a0B", "A\u2003B", "\u3000A"])
def test_names_have_no_invisible_spaces(rule: Callable[[str], str], value: str) -> None:
    assert refusal(rule, value) == "text_spaces"


@pytest.mark.parametrize("rule", NAMES)
@pytest.mark.parametrize("invisible", ["\u034f", "\u115f", "\u3164", "\uffa0", "\ufe0f", "\u2800", "\U000e0100"])
def test_names_have_no_invisible_twins(rule: Callable[[str], str], invisible: str) -> None:
    assert refusal(rule, f"A{invisible}B") == "text_character"


def test_a_reason_may_hold_an_emoji_in_colour() -> None:
    assert text.reason("wrong size ❤\ufe0f") == "wrong size ❤\ufe0f"


@pytest.mark.parametrize(
    "value",
    [
        "a@b.cd",
        "first.last+tag@sub.example.com",
        "o'hara@example.com",
        "büyer@bücher.example",
        "漢@字.example",
        "A@B.C",
    ],
)
def test_an_email_has_a_local_part_and_a_domain(value: str) -> None:
    assert text.email(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "a", "@", "a@", "@b.cd", "a@b", "a@@b.cd", "a@b@c.de", "a b@c.de", "a@b c.de", ".a@b.cd", "a.@b.cd",
        "a..b@c.de",
        "a@.b.cd", "a@b..cd", "a@b.cd.", "a@-b.cd", "a@b-.cd", '"a"@b.cd', "a@[127.0.0.1]", "<a@b.cd>", "a;b@c.de",
        "a@b_c.de", "a" * 65 + "@b.cd", "a@" + "b" * 64 + ".cd", "a@bücher-.example",
    ],
)  # fmt: skip
def test_what_is_not_an_email_is_refused(value: str) -> None:
    assert refusal(text.email, value) == "email_malformed"


def test_an_email_is_bounded_and_clean() -> None:
    assert refusal(text.email, "a@" + "b." * 130 + "cd") == "text_too_long"
    assert refusal(text.email, "a@b.cd\r\nBcc: x@y.zz") == "text_character"
    assert refusal(text.email, " a@b.cd") == "text_spaces"


def test_metadata_keeps_its_pairs_in_order() -> None:
    pairs = {"b": "2", "a.b-c_D9": "", "c": unicodedata.normalize("NFD", "é")}
    assert list(text.metadata(pairs).items()) == [("b", "2"), ("a.b-c_D9", ""), ("c", "é")]


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        *(({key: "x"}, "metadata_key") for key in ("", "a b", "é", "a" * 41, "a\x00", "a/b", "__proto__\n")),
        ({"a": "x" * 501}, "text_too_long"),
        ({"a": "a\x00"}, "text_character"),
        ({str(number): "" for number in range(51)}, "metadata_too_many"),
    ],
)
def test_metadata_is_fifty_pairs_at_most_of_a_short_plain_key_and_a_text(pairs: dict[str, str], code: str) -> None:
    with pytest.raises(TextError) as refused:
        text.metadata(pairs)
    assert refused.value.code == code
    assert len(text.metadata({str(number): "" for number in range(50)})) == 50


@given(st.text(max_size=80), st.sampled_from([*TEXTS, text.email]))
def test_what_is_accepted_is_nfc_encodable_and_accepted_again(value: str, rule: Callable[[str], str]) -> None:
    try:
        accepted = rule(value)
    except TextError:
        return
    accepted.encode()
    assert unicodedata.is_normalized("NFC", accepted)
    assert rule(accepted) == accepted
