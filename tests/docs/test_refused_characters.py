"""The guide for partners names a character of each category that no text takes."""

import re
import unicodedata

import pytest

from domain import text
from domain.errors import TextError
from infra.local.home import CHECKOUT

GUIDE = (CHECKOUT / "docs/guides/partners.md").read_text(encoding="utf-8")
_, _, AFTER = GUIDE.partition("\nRefused everywhere")
TABLE, _, _ = AFTER.partition("\nAn email address")
NAMED = [chr(int(digits, 16)) for digits in re.findall(r"U\+([0-9A-F]{4,6})", TABLE)]


def test_each_category_has_an_example_that_prose_refuses() -> None:
    for character in NAMED:
        with pytest.raises(TextError):
            text.note(f"a{character}b")

    assert {unicodedata.category(each) for each in NAMED} == {"Cc", "Cf", "Zl", "Zp", "Co", "Cn"}
