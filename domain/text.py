"""Which texts are allowed in which field: one function per field returns the text in NFC or raises `TextError`.

Refused everywhere: control characters (CR, LF, ESC and NUL included), format and bidirectional controls, surrogates,
private use, unassigned code points, line and paragraph separators, a combining mark at the start, and more than
`MAX_MARKS_IN_A_ROW` of them. Names (SKU, external reference, email) also refuse what the eye cannot tell apart: spaces
at the ends, spaces other than U+0020, and invisible code points. NFC makes two spellings of one name the same name;
lengths are checked before and after. Spreadsheet formulas are data: exporters escape them.
"""

import re
import unicodedata
from collections.abc import Mapping

from domain.errors import TextError

MAX_SKU_CHARS = 64
MAX_EXTERNAL_REFERENCE_CHARS = 128
MAX_EMAIL_CHARS = 254
MAX_REASON_CHARS = 500
MAX_NOTE_CHARS = 500
MAX_BATCH_CHARS = 64
MAX_METADATA_ENTRIES = 50
MAX_METADATA_KEY_CHARS = 40
MAX_METADATA_VALUE_CHARS = 500
MAX_MARKS_IN_A_ROW = 8

_MAX_LOCAL_PART_CHARS = 64
_MAX_LABEL_CHARS = 63
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Mc", "Me"})
# Default_Ignorable_Code_Point without the format characters, which are refused anyway; and the blank Braille cell
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_METADATA_KEY = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_LOCAL_PART_REFUSED = re.compile(r"[\s()<>\[\]\\,;:\"@]")
_ASCII_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", re.ASCII)


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
    """Return an address with one @, a local part of 1-64 and a domain of at least two labels; 254 characters at most.

    Letters beyond ASCII are allowed (RFC 6531), quoted local parts and address literals are not. Case is kept.

    Raises:
        TextError: as `sku`, or `email_malformed`.
    """
    value = _name(value, MAX_EMAIL_CHARS)
    local, _, domain = value.partition("@")
    labels = domain.split(".")
    if (
        not local
        or len(local) > _MAX_LOCAL_PART_CHARS
        or local.startswith(".")
        or local.endswith(".")
        or ".." in local
        or _LOCAL_PART_REFUSED.search(local)
        or len(labels) == 1
        or not all(_is_label(label) for label in labels)
    ):
        raise TextError("email_malformed", "must be an email address such as buyer@example.com")
    return value


def reason(value: str) -> str:
    """Return a reason in the writer's words: 1-500 characters, one line.

    Raises:
        TextError: `text_empty`, `text_too_long`, `text_character` or `text_marks`.
    """
    return _plain(value, 1, MAX_REASON_CHARS)


def note(value: str) -> str:
    """Return a note on an order: 1-500 characters, one line.

    Raises:
        TextError: as `reason`.
    """
    return _plain(value, 1, MAX_NOTE_CHARS)


def batch(value: str) -> str:
    """Return the name of a batch of settlements: 1-64 characters.

    Raises:
        TextError: as `sku`.
    """
    return _name(value, MAX_BATCH_CHARS)


def metadata(value: Mapping[str, str]) -> dict[str, str]:
    """Return the partner's own pairs, order kept: at most 50; keys 1-40 of `A-Z a-z 0-9 _ . -`, values 0-500.

    Raises:
        TextError: `metadata_too_many`, `metadata_key`, or as `reason` for a value.
    """
    if len(value) > MAX_METADATA_ENTRIES:
        raise TextError("metadata_too_many", f"holds at most {MAX_METADATA_ENTRIES} entries")
    for key in value:
        if len(key) > MAX_METADATA_KEY_CHARS or not _METADATA_KEY.fullmatch(key):
            raise TextError("metadata_key", f"a key is 1-{MAX_METADATA_KEY_CHARS} of A-Z a-z 0-9 _ . -")
    return {key: _plain(text, 0, MAX_METADATA_VALUE_CHARS) for key, text in value.items()}


def _plain(value: str, least: int, most: int) -> str:
    """Apply the rules for every text. Length is checked first: normalising 10^5 marks is quadratic work."""
    if len(value) < least:
        raise TextError("text_empty", "must not be empty")
    if len(value) > most:
        raise TextError("text_too_long", f"is at most {most} characters long")
    if value.isascii():
        if not value.isprintable():  # ASCII without its control characters
            raise TextError("text_character", "holds a control character")
        return value
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in value):
        raise TextError("text_character", "holds a control, format, private or unassigned character")
    value = unicodedata.normalize("NFC", value)
    if len(value) > most:
        raise TextError("text_too_long", f"is at most {most} characters long")
    if _has_loose_marks(value):
        raise TextError("text_marks", f"starts with a combining mark or has over {MAX_MARKS_IN_A_ROW} in a row")
    return value


def _name(value: str, most: int) -> str:
    """Apply the rules for texts that identify something: nothing in them may be invisible."""
    value = _plain(value, 1, most)
    if value[0] == " " or value[-1] == " ":
        raise TextError("text_spaces", "starts or ends with a space")
    if value.isascii():
        return value
    if _INVISIBLE.search(value):
        raise TextError("text_character", "holds an invisible character")
    if any(character.isspace() and character != " " for character in value):
        raise TextError("text_spaces", "holds a space other than U+0020")
    return value


def _has_loose_marks(value: str) -> bool:
    run = MAX_MARKS_IN_A_ROW  # so that a mark at the start is one too many
    for character in value:
        run = run + 1 if unicodedata.category(character) in _MARKS else 0
        if run > MAX_MARKS_IN_A_ROW:
            return True
    return False


def _is_label(label: str) -> bool:
    if not 0 < len(label) <= _MAX_LABEL_CHARS:
        return False
    if label.isascii():
        return _ASCII_LABEL.fullmatch(label) is not None
    # An internationalised label: letters, digits and their marks; the mail system applies IDNA.
    return (
        label[0] != "-"
        and label[-1] != "-"
        and all(
            character.isalnum() or character == "-" or unicodedata.category(character) in _MARKS for character in label
        )
    )
