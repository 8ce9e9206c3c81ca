"""An id has one spelling."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ids import parse_uuid

TEXT = "019a8b5c-0000-7000-8000-00000000abcd"


@given(st.uuids())
def test_the_text_of_any_uuid_gives_it_back(value: UUID) -> None:
    assert parse_uuid(str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.upper(),
        TEXT.replace("-", ""),
        f"{{{TEXT}}}",
        f"urn:uuid:{TEXT}",
        f" {TEXT}",
        f"{TEXT}\n",
        f"{TEXT}0",
        TEXT[:-1],
        TEXT.replace("1", "\N{FULLWIDTH DIGIT ONE}"),
        TEXT.replace("1", "\N{ARABIC-INDIC DIGIT ONE}"),
        TEXT.replace("-", "\N{HYPHEN}"),
        str(2**63),
    ],
)
def test_any_other_spelling_is_no_id(text: str) -> None:
    assert parse_uuid(text) is None
