"""An id has one form in either case, and new ones follow each other in time."""

from collections.abc import Callable
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clock import new_id, new_id_text
from infra.ids import canonical_ids, parse_uuid

TEXT = "019a8b5c-0000-7000-8000-00000000abcd"


@given(st.uuids())
def test_the_text_of_any_uuid_gives_it_back(value: UUID) -> None:
    assert parse_uuid(str(value)) == parse_uuid(str(value).upper()) == value


@given(st.uuids())
def test_the_ids_in_an_address_are_the_same_in_either_case_and_nothing_else_is(value: UUID) -> None:
    assert canonical_ids(f"/Keys/8Zk2Qp1x/{str(value).upper()}/Notes") == f"/Keys/8Zk2Qp1x/{value}/Notes"


@pytest.mark.parametrize(
    "text",
    [
        "",
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


@pytest.mark.parametrize("make", [new_id_text, lambda: str(new_id())], ids=["text", "id"])
def test_new_ids_are_version_7_differ_and_sort_by_their_millisecond(make: Callable[[], str]) -> None:
    made = [make() for _ in range(2_000)]
    ids = [UUID(text) for text in made]

    assert {(each.version, each.variant) for each in ids} == {(7, RFC_4122)}
    assert len(set(made)) == len(made)
    assert [parse_uuid(text) for text in made] == ids
    milliseconds = [text[:13] for text in made]
    assert milliseconds == sorted(milliseconds)
