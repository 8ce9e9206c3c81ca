"""What may stand in a text field, and that nothing else gets in."""

import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import text
from domain.errors import TextError

NAMES = [text.sku, text.external_reference, text.batch]
PROSE = [text.reason, text.note, text.description, text.metadata_value]
TEXTS = [*NAMES, *PROSE, text.label]
FLAGS = [  # of England, Scotland, Wales, and of Texas, which few fonts have
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(each)) for each in region) + "\U000e007f"
    for region in ("gbeng", "gbsct", "gbwls", "ustx")
]
LAYOUT = ("\n", "\t", "\u200d")


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
        "\x00", "\x0b", "\x0c", "\r", "\x1b", "\x7f", "\x85", "\x9b",  # control
        "\u200b", "\u00ad", "\ufeff", "\U000e0041",  # format, tags
        "\u200e", "\u200f", "\u061c", "\u202e", "\u2066",  # bidi
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


@pytest.mark.parametrize("value", ["a\tb", "a\nb", "a\r\nb", "a\u200cb", "a\u200db"])
@pytest.mark.parametrize("rule", NAMES)
def test_names_have_no_lines_tabs_or_joiners(rule: Callable[[str], str], value: str) -> None:
    assert refusal(rule, value) == "text_character"


@pytest.mark.parametrize(
    "value",
    [
        "two\nlines",
        "a\tb",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f469\u200d\U0001f469\u200d\U0001f467",
        "\u2764\ufe0f",
    ],
)
@pytest.mark.parametrize("rule", PROSE)
def test_prose_keeps_lines_tabs_joiners_and_variation_selectors(rule: Callable[[str], str], value: str) -> None:
    assert rule(value) == value


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("rule", [*PROSE, text.label])
def test_prose_and_labels_keep_the_flags_of_regions(rule: Callable[[str], str], flag: str) -> None:
    assert rule(flag) == flag
    assert rule(f"to {flag}{flag}, not {flag}") == f"to {flag}{flag}, not {flag}"
    assert refusal(rule, f"{flag}\x1b") == "text_character"


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (FLAGS[0][:-1], "U+E0067 at index 1"),  # not closed
        (FLAGS[0][1:], "U+E0067 at index 0"),  # no flag before it
        (f"{FLAGS[0]}\U000e007f", "U+E007F at index 7"),  # closed twice
        ("\U0001f3f4\U000e007f", "U+E007F at index 1"),  # empty
        ("\U0001f3f4" + "\U000e0061" * 8 + "\U000e007f", "U+E0061 at index 1"),  # longer than any region
        ("\U0001f3f4\U000e0047\U000e0042\U000e0045\U000e007f", "U+E0047 at index 1"),  # hidden capitals
        ("\U0001f469\U000e0067\U000e0062\U000e0065\U000e007f", "U+E0067 at index 1"),  # of another emoji
    ],
)
@pytest.mark.parametrize("rule", [*PROSE, text.label])
def test_tag_characters_hide_nothing_elsewhere(rule: Callable[[str], str], value: str, place: str) -> None:
    with pytest.raises(TextError, match=re.escape(place)):
        rule(value)


@pytest.mark.parametrize("rule", NAMES)
def test_names_have_no_tag_characters(rule: Callable[[str], str]) -> None:
    assert refusal(rule, FLAGS[0]) == "text_character"


@pytest.mark.parametrize("rule", PROSE)
def test_a_line_of_prose_ends_in_a_line_feed(rule: Callable[[str], str]) -> None:
    assert rule("one\r\ntwo\r\n") == "one\ntwo\n"
    assert refusal(rule, "one\rtwo") == "text_character"


def test_a_label_is_one_line_that_may_have_joiners() -> None:
    assert text.label("till \U0001f469\u200d\U0001f467") == "till \U0001f469\u200d\U0001f467"
    assert refusal(text.label, "two\nlines") == "text_character"


@pytest.mark.parametrize(
    "value",
    [
        " ",
        "\u00a0\u3000",
        "\u2800",
        "\u3164 \uffa0",
        "  \ufe0f",
        "\U0001d159",
        "\ufffc",
        "\u115f\u0301",
        " \U00016fe4",
        " \u0301",
        "\u3164\u093e\u20dd",
    ],
)
@pytest.mark.parametrize("rule", [*PROSE, text.label])
def test_a_text_in_which_nothing_can_be_seen_is_refused(rule: Callable[[str], str], value: str) -> None:
    assert refusal(rule, value) == "text_blank"


@pytest.mark.parametrize("value", ["\n", "\t \n", "\r\n", "\u200d", "\u200c\n"])
@pytest.mark.parametrize("rule", PROSE)
def test_lines_and_joiners_alone_are_no_text(rule: Callable[[str], str], value: str) -> None:
    assert refusal(rule, value) == "text_blank"


@pytest.mark.parametrize("rule", [text.description, text.label, text.metadata_value])
def test_a_mark_on_a_letter_and_a_place_of_an_object_in_a_text_are_kept(rule: Callable[[str], str]) -> None:
    for value in ("\u0915\u093e", " e\u20dd", "see \ufffc"):
        assert rule(value) == value


@pytest.mark.parametrize("rule", [text.description, text.label, text.metadata_value])
def test_some_texts_may_be_empty(rule: Callable[[str], str]) -> None:
    assert rule("") == ""


@pytest.mark.parametrize(
    ("rule", "value", "place"),
    [
        (text.note, "ab\x1bc", "U+001B at index 2"),
        (text.note, "a\r\nb\u202ec", "U+202E at index 4"),
        (text.sku, "a\u2800", "U+2800 at index 1"),
        (text.sku, "a\ufffc", "U+FFFC at index 1"),
        (text.external_reference, "a\U00016fe4", "U+16FE4 at index 1"),
        (text.sku, "a\u00a0b", "U+00A0 at index 1"),
        (text.sku, "\u0301a", "U+0301 at index 0"),
        (text.reason, "\U000e0041", "U+E0041 at index 0"),
    ],
)
def test_a_refusal_names_the_character_and_its_place(rule: Callable[[str], str], value: str, place: str) -> None:
    with pytest.raises(TextError, match=re.escape(place)):
        rule(value)


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


@pytest.mark.parametrize(
    "value",
    [
        "a@b.cd",
        "first.last+tag@sub.example.com",
        "o'hara@example.com",
        "büyer@bücher.example",
        "漢@字.example",
        "A@B.C",
        "a@b.c1",
        "a@xn--bcher-kva.xn--p1ai",
        "é" * 32 + "@b.cd",
        "a@" + "é" * 50 + ".cd",
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
        "a@1.2.3.4", "a@b.12", "a@b.\u0663", "a@[1.2.3.4]", "a@[IPv6:::1]", "a@\u5b57\u3002\u4f8b",
        "é" * 33 + "@b.cd", "a@" + "é" * 60 + ".cd", "a@" + "漢字.漢字." * 30 + "cd", "a@xn--\u00e9.cd", "a@xn--0.cd",
    ],
)  # fmt: skip
def test_what_is_not_an_email_is_refused(value: str) -> None:
    assert refusal(text.email, value) == "email_malformed"


def test_an_email_is_bounded_and_clean() -> None:
    assert refusal(text.email, "a@" + "b." * 130 + "cd") == "text_too_long"
    assert refusal(text.email, "a@b.cd\r\nBcc: x@y.zz") == "text_character"
    assert refusal(text.email, " a@b.cd") == "text_spaces"


@pytest.mark.parametrize("key", ["", "a b", "é", "a" * 41, "a\x00", "a/b", "__proto__\n"])
def test_a_key_of_metadata_is_short_and_plain(key: str) -> None:
    assert text.metadata_key("a.b-c_D9") == "a.b-c_D9"
    with pytest.raises(TextError) as refused:
        text.metadata_key(key)
    assert refused.value.code == "metadata_key"


@given(st.text(max_size=80), st.sampled_from([*TEXTS, text.email]))
def test_what_is_accepted_is_nfc_encodable_and_accepted_again(value: str, rule: Callable[[str], str]) -> None:
    try:
        accepted = rule(value)
    except TextError:
        return
    accepted.encode()
    assert unicodedata.is_normalized("NFC", accepted)
    assert rule(accepted) == accepted
