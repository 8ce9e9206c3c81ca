"""Which texts are allowed in which field: one function per field returns the text in NFC or raises `TextError`.

Refused everywhere: control characters (CR, ESC and NUL included), format and bidirectional controls, surrogates,
private use, unassigned code points, line and paragraph separators, a combining mark at the start, more than
`MAX_MARKS_IN_A_ROW` of them, and a text in which nothing can be seen. Prose, which people read (reasons, notes,
descriptions, values of metadata), takes line feeds, tabs, the joiners that Persian words and emoji need, and tag
characters in the flag of a region, such as Scotland's; CR LF becomes LF. Labels are one line of that, without tabs.
Names (SKU, external reference, email, batch) also refuse what the eye cannot tell apart: spaces at the ends, spaces
other than U+0020, and invisible code points. NFC makes two spellings of one name the same name; lengths are checked
before and after. Spreadsheet formulas are data: exporters escape them.
"""

import re
import unicodedata
from collections.abc import Set as AbstractSet

from domain.errors import TextError

MAX_SKU_CHARS = 64
MAX_EXTERNAL_REFERENCE_CHARS = 128
MAX_EMAIL_CHARS = 254
MAX_REASON_CHARS = 500
MAX_NOTE_CHARS = 500
MAX_BATCH_CHARS = 64
MAX_DESCRIPTION_CHARS = 500
MAX_LABEL_CHARS = 100
MAX_METADATA_ENTRIES = 50
MAX_METADATA_KEY_CHARS = 40
MAX_METADATA_VALUE_CHARS = 500
MAX_MARKS_IN_A_ROW = 8

_MAX_LOCAL_PART_BYTES = 64
_MAX_DOMAIN_LABEL_CHARS = 63
_MAX_DOMAIN_CHARS = 253
_PUNYCODE = "xn--"
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Mc", "Me"})
_JOINERS = frozenset("\u200c\u200d")
_IN_PROSE = _JOINERS | {"\n", "\t"}
_NO_CHARACTERS: AbstractSet[str] = frozenset()
# A black flag, then the code of a region (UTS #51, C.1.1) in tag characters: too short to hide a text in.
_REGION_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,7}\U000e007f")
# Default_Ignorable_Code_Point without the format characters that are refused anyway; the blank Braille cell; what
# stands for an object that no text has; a filler of the Khitan script; a note without a head
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u200c\u200d\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc\U00016fe4"
    "\U0001d159\U000e0100-\U000e01ef]"
)
_METADATA_KEY = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_LOCAL_PART_REFUSED = re.compile(r"[\s()<>\[\]\\,;:\"@]")
_ASCII_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", re.ASCII)
# What nearly every domain is; what is not goes through the rules one by one.
_USUAL_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,100}[a-z]{2,63}", re.ASCII)


def sku(value: str) -> str:
    """Return a stock code: 1-64 characters.

    Raises:
        TextError: `text_empty`, `text_too_long`, `text_character`, `text_marks` or `text_spaces`.
    """
    return _name(value, MAX_SKU_CHARS)


def external_reference(value: str) -> str:
    """Return the partner's own order number: 1-128 characters.

    Raises:
        TextError: as `sku`.
    """
    return _name(value, MAX_EXTERNAL_REFERENCE_CHARS)


def email(value: str) -> str:
    """Return an address with one @, a local part of 1-64 bytes and a domain of at least two labels; 254 characters.

    Whether the domain exists is not asked: nothing here sends mail, partners put placeholders where a buyer gave no
    address (`none@shop.invalid`), and no list of domains is so new that an order may depend on it.

    Letters beyond ASCII are allowed (RFC 6531). Quoted local parts are not, nor is an address of a host in place of its
    name: in brackets, or with a last label that is a number. Case is kept.

    Raises:
        TextError: as `sku`, or `email_malformed`.
    """
    value = _name(value, MAX_EMAIL_CHARS)
    local, _, domain = value.partition("@")
    if (
        not local
        or len(local) > _MAX_LOCAL_PART_BYTES
        or (not local.isascii() and len(local.encode()) > _MAX_LOCAL_PART_BYTES)
        or local.startswith(".")
        or local.endswith(".")
        or ".." in local
        or _LOCAL_PART_REFUSED.search(local)
    ):
        raise TextError("email_malformed", "The text must be an email address such as buyer@example.com.")
    if not _USUAL_DOMAIN.fullmatch(domain) or _PUNYCODE in domain:
        _check_domain(domain)
    return value


def reason(value: str) -> str:
    """Return a reason in the writer's words: 1-500 characters of prose.

    Raises:
        TextError: `text_empty`, `text_blank`, `text_too_long`, `text_character` or `text_marks`.
    """
    return _prose(value, 1, MAX_REASON_CHARS)


def note(value: str) -> str:
    """Return a note on an order: 1-500 characters of prose.

    Raises:
        TextError: as `reason`.
    """
    return _prose(value, 1, MAX_NOTE_CHARS)


def description(value: str) -> str:
    """Return what a webhook endpoint is for: 0-500 characters of prose.

    Raises:
        TextError: as `reason`, but for `text_empty`.
    """
    return _prose(value, 0, MAX_DESCRIPTION_CHARS)


def label(value: str) -> str:
    """Return what an API key is for: 0-100 characters on one line.

    Raises:
        TextError: as `reason`, but for `text_empty`.
    """
    return _seen(_text(value, 0, MAX_LABEL_CHARS, _JOINERS))


def batch(value: str) -> str:
    """Return the name of a batch of settlements: 1-64 characters.

    Raises:
        TextError: as `sku`.
    """
    return _name(value, MAX_BATCH_CHARS)


def metadata_key(value: str) -> str:
    """Return a key of the partner's own pairs: 1-40 of `A-Z a-z 0-9 _ . -`.

    Raises:
        TextError: `metadata_key`.
    """
    if len(value) > MAX_METADATA_KEY_CHARS or not _METADATA_KEY.fullmatch(value):
        raise TextError(
            "metadata_key", f"A key is 1-{MAX_METADATA_KEY_CHARS} of these: A-Z a-z 0-9 _ . - and no others."
        )
    return value


def metadata_value(value: str) -> str:
    """Return a value of the partner's own pairs: 0-500 characters of prose.

    Raises:
        TextError: as `reason`, but for `text_empty`.
    """
    return _prose(value, 0, MAX_METADATA_VALUE_CHARS)


def _text(value: str, least: int, most: int, also: AbstractSet[str] = _NO_CHARACTERS) -> str:
    """Apply the rules for every text. Length is checked first: normalising 10^5 marks is quadratic work.

    `also`: the control and format characters that the field takes; one that takes any takes flags of regions too.
    """
    if len(value) < least:
        raise TextError("text_empty", "The text must not be empty.")
    if len(value) > most:
        raise TextError("text_too_long", f"The text must have at most {most} characters.")
    if value.isascii() and value.isprintable():  # ASCII without its control characters
        return value
    if "\n" in also and "\r\n" in value:
        _check_characters(value.replace("\r\n", "\n\n"), also)  # places as they were sent
        value = value.replace("\r\n", "\n")
    else:
        _check_characters(value, also)
    value = unicodedata.normalize("NFC", value)
    if len(value) > most:
        raise TextError("text_too_long", f"The text must have at most {most} characters.")
    _check_marks(value)
    return value


def _prose(value: str, least: int, most: int) -> str:
    """Apply the rules for texts that people read."""
    return _seen(_text(value, least, most, _IN_PROSE))


def _seen(value: str) -> str:
    """Return a text that is empty or has something to see. A mark alone is nothing: it needs a letter to be on."""
    if value.isspace() or (value and not value.isascii() and all(map(_is_blank, value))):
        raise TextError("text_blank", "The text must have at least one character that can be seen.")
    return value


def _is_blank(character: str) -> bool:
    return character.isspace() or _INVISIBLE.match(character) is not None or unicodedata.category(character) in _MARKS


def _name(value: str, most: int) -> str:
    """Apply the rules for texts that identify something: nothing in them may be invisible."""
    value = _text(value, 1, most)
    if value[0] == " " or value[-1] == " ":
        raise TextError("text_spaces", "The text starts or ends with a space.")
    if value.isascii():
        return value
    if found := _INVISIBLE.search(value):
        raise TextError("text_character", f"The text holds {_at(value, found.start())}, an invisible character.")
    for index, character in enumerate(value):
        if character.isspace() and character != " ":
            raise TextError("text_spaces", f"The text holds {_at(value, index)}, a space other than U+0020.")
    return value


def _at(value: str, index: int) -> str:
    """Say which code point a text has where; the text itself is never repeated."""
    return f"U+{ord(value[index]):04X} at index {index}"


def _check_characters(value: str, also: AbstractSet[str]) -> None:
    if also:
        value = _REGION_FLAG.sub(
            lambda flag: "-" * len(flag[0]), value
        )  # as long, so that places are as they were sent
    for index, character in enumerate(value):
        if unicodedata.category(character) in _REFUSED_CATEGORIES and character not in also:
            detail = f"The text holds {_at(value, index)}, a control, format, private or unassigned character."
            raise TextError("text_character", detail)


def _check_marks(value: str) -> None:
    run = MAX_MARKS_IN_A_ROW  # so that a mark at the start is one too many
    for index, character in enumerate(value):
        run = run + 1 if unicodedata.category(character) in _MARKS else 0
        if run > MAX_MARKS_IN_A_ROW:
            raise TextError(
                "text_marks",
                f"The text starts with a combining mark or has over {MAX_MARKS_IN_A_ROW} of them in a row: "
                f"{_at(value, index)}.",
            )


def _check_domain(domain: str) -> None:
    labels = domain.split(".")
    if len(labels) == 1 or not all(_is_domain_label(each) for each in labels):
        raise TextError("email_malformed", "The text must be an email address such as buyer@example.com.")
    if labels[-1].isdigit():
        raise TextError(
            "email_malformed", "The address must name a host after the @, not an IP address: a domain ends in letters."
        )
    if sum(len(_in_ascii(each)) + 1 for each in labels) - 1 > _MAX_DOMAIN_CHARS:
        raise TextError(
            "email_malformed", f"The domain of the address must have at most {_MAX_DOMAIN_CHARS} characters."
        )


def _is_domain_label(label: str) -> bool:
    if not label or len(_in_ascii(label)) > _MAX_DOMAIN_LABEL_CHARS:
        return False
    if label.isascii():
        return _ASCII_LABEL.fullmatch(label) is not None and _is_punycode(label)
    # An internationalised label: letters, digits and their marks; the mail system applies IDNA.
    return (
        label[:4] != _PUNYCODE
        and label[0] != "-"
        and label[-1] != "-"
        and all(
            character.isalnum() or character == "-" or unicodedata.category(character) in _MARKS for character in label
        )
    )


def _in_ascii(label: str) -> str:
    """Return a label as the domain name system carries it (RFC 3492)."""
    return label if label.isascii() else _PUNYCODE + label.encode("punycode").decode("ascii")


def _is_punycode(label: str) -> bool:
    """Return whether an ASCII label that says it is encoded can be decoded."""
    if not label.lower().startswith(_PUNYCODE):
        return True
    try:
        return not label[len(_PUNYCODE) :].encode("ascii").decode("punycode").isascii()
    except UnicodeError:
        return False
