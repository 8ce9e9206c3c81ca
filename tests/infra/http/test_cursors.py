"""A cursor is good for the list that gave it and for nothing else."""

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.http.cursors import Cursors, RowKey
from infra.http.problems import Problem

CURSORS = Cursors(b"s" * 32)
ROW = RowKey(1_764_000_000_000_000, UUID("019a8b5c-0000-7000-8000-000000000000"))


@given(number=st.integers(-(2**63), 2**63 - 1), row_id=st.uuids(), purpose=st.text())
def test_a_cursor_is_read_back_for_its_own_purpose(number: int, row_id: UUID, purpose: str) -> None:
    assert CURSORS.read(purpose, CURSORS.issue(purpose, RowKey(number, row_id))) == RowKey(number, row_id)


def test_a_cursor_is_safe_in_an_address() -> None:
    cursor = CURSORS.issue("list", ROW)

    assert len(cursor) == 55
    assert cursor.replace("-", "a").replace("_", "a").isalnum()


@given(position=st.integers(0, 54), character=st.sampled_from("ABCxyz019-_"))
def test_an_edited_cursor_is_refused(position: int, character: str) -> None:
    cursor = CURSORS.issue("list", ROW)
    edited = cursor[:position] + character + cursor[position + 1 :]
    if edited != cursor:
        with pytest.raises(Problem, match="cursor_invalid"):
            CURSORS.read("list", edited)


@pytest.mark.parametrize("purpose", ["", "list ", "other"])
def test_a_cursor_of_another_list_is_refused(purpose: str) -> None:
    with pytest.raises(Problem, match="cursor_invalid"):
        CURSORS.read(purpose, CURSORS.issue("list", ROW))


def test_a_cursor_signed_with_another_secret_is_refused() -> None:
    with pytest.raises(Problem, match="cursor_invalid"):
        CURSORS.read("list", Cursors(b"t" * 32).issue("list", ROW))


@given(st.text() | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="cursor_invalid"):
        CURSORS.read("list", text)
