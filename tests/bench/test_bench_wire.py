"""When an answer is complete."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.wire import Answer, NotUnderstoodError

CREATED = b'HTTP/1.1 201 Created\r\nlocation: /api/v1/orders/7\r\nContent-Length: 11\r\n\r\n{"id": "7"}'


def test_an_answer_in_one_piece_is_complete() -> None:
    answer = Answer()
    assert answer.feed(CREATED)
    assert (answer.status, answer.location) == (201, "/api/v1/orders/7")


@given(st.lists(st.integers(1, len(CREATED) - 1), max_size=5, unique=True))
def test_it_does_not_matter_where_the_network_cuts(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(CREATED)]
    answer = Answer()
    complete = [answer.feed(CREATED[begin:end]) for begin, end in pairwise(edges)]
    assert complete == [False] * (len(edges) - 2) + [True]
    assert answer.status == 201


def test_the_next_answer_starts_afresh() -> None:
    answer = Answer()
    answer.feed(CREATED)
    answer.start()
    assert answer.feed(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
    assert (answer.status, answer.location) == (503, "")


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\n\r\n{}", CREATED + b"x"])
def test_an_answer_of_unknown_length_is_not_counted(data: bytes) -> None:
    with pytest.raises(NotUnderstoodError):
        Answer().feed(data)
