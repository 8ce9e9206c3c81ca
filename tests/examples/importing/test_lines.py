"""What the lines of an import file become: orders under keys that the next run over the file derives again."""

import io
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from command_api.handling.idempotency import fingerprint
from harbor_orders_client.importing.lines import BadLine, OrderLine, read_lines
from harbor_orders_client.importing.refusals import RefusedFile
from harbor_orders_client.importing.slices import FileSlice, read_slices
from harbor_orders_client.operations.batches import ENVELOPE, MAX_BYTES
from infra.http.json_body import parse_json
from tests.support.orders.builders import order_body


def read(*lines: bytes | dict[str, Any], run: str = "", end: bytes = b"\n") -> list[OrderLine | BadLine]:
    return list(read_lines(io.BytesIO(text(*lines, end=end)), run))


def text(*lines: bytes | dict[str, Any], end: bytes = b"\n") -> bytes:
    return b"".join((line if isinstance(line, bytes) else orjson.dumps(line)) + end for line in lines)


def keys(*lines: bytes | dict[str, Any], run: str = "") -> list[str]:
    return [line.key for line in read(*lines, run=run) if isinstance(line, OrderLine)]


def body(orders: list[OrderLine]) -> bytes:
    return ENVELOPE % b",".join(line.item for line in orders)


def slices(data: bytes, max_orders: int = 500) -> list[FileSlice]:
    return list(read_slices(io.BytesIO(data), "", max_orders))


A, B, C = order_body(currency="EUR"), order_body(currency="USD"), order_body(currency="GBP")


def test_a_line_is_an_order_or_an_order_with_its_key() -> None:
    [plain, keyed, quoted] = read(A, {"idempotency_key": "k", "order": A}, {"order": A, "idempotency_key": '"q"'})

    assert isinstance(plain, OrderLine)
    assert isinstance(keyed, OrderLine)
    assert isinstance(quoted, OrderLine)
    assert (plain.is_key_derived, keyed.is_key_derived) == (True, False)
    assert (keyed.key, quoted.key) == ("k", "q")
    assert plain.order == keyed.order == parse_json(orjson.dumps(A)).canonical
    assert orjson.loads(keyed.item) == {"idempotency_key": "k", "order": A}


def test_what_is_sent_is_the_same_request_as_the_line_sent_alone() -> None:
    loose = orjson.dumps(A, option=orjson.OPT_INDENT_2).replace(b"\n", b" ")

    [line] = read(loose)

    assert isinstance(line, OrderLine)
    assert fingerprint("POST", "/", line.order) == fingerprint("POST", "/", parse_json(loose).canonical)


def test_empty_lines_carriage_returns_a_mark_and_a_missing_last_end_do_not_matter() -> None:
    unix = read(A, b"", B)
    assert [line.number for line in unix] == [1, 3]
    assert read(A, b"", B, end=b"\r\n") == unix
    assert read(b"\xef\xbb\xbf" + orjson.dumps(A), b"  ", B) == unix
    assert list(read_lines(io.BytesIO(text(A, b"", B)[:-1]), "")) == unix


def test_a_derived_key_follows_from_the_content_and_not_from_the_place_of_a_line() -> None:
    [a, b] = keys(A, B)

    assert keys(C, B, A)[1:] == [b, a]
    assert keys(dict(reversed(A.items()))) == [a]
    assert len({a, b, *keys(C)}) == 3


def test_lines_of_the_same_content_are_orders_of_their_own_and_the_same_ones_in_the_next_run() -> None:
    first = keys(A, A, B, A)

    assert len(set(first)) == 4
    assert keys(A, A, B, A) == first
    assert keys(B, A, A, A) == [first[2], first[0], first[1], first[3]]


def test_a_derived_key_is_the_same_in_every_version_of_this_command() -> None:
    """Pinned: a file that an earlier version imported must not be doubled by a later one."""
    order: dict[str, Any] = {"customer_email": "ada@example.com", "currency": "EUR"}
    order |= {"lines": [{"sku": "BELL \u00e9\x01\u2028", "quantity": 2, "unit_price": "19.99"}]}
    named = {"customer_email": "a", "external_reference": "PO-1"}

    assert keys(order, order, named) == [
        "import-113303d7e1423302593d2635c65440177f276056332d30d060a15467c7c7b9f3",
        "import-6bd1d4a618d60bef91048525a0478341d113d0da7c232c7753e31df6710991d6",
        "import-b34be35859e37f8f15ef30eeca4184e5d3cd36435a05cf484c1f5a8ed746994e",
    ]
    assert keys(order, run="may") == ["import-9d5b7a06ce49d7a9b857f7fab4e4d2052b925816635cf0298d12cef620f8c8b8"]


def test_a_number_with_a_fraction_is_sent_as_it_is_for_the_service_to_refuse() -> None:
    [line] = read(b'{"lines": [{"unit_price": 19.990, "quantity": 2}]}')

    assert isinstance(line, OrderLine)
    assert line.order == b'{"lines":[{"quantity":2,"unit_price":19.990}]}'


def test_an_order_with_a_reference_is_the_same_order_wherever_it_stands() -> None:
    named = order_body(external_reference="PO-1")

    assert len(set(keys(named, A, named))) == 2


def test_another_run_makes_other_keys_but_not_for_lines_that_bring_theirs() -> None:
    keyed = {"idempotency_key": "k", "order": A}

    assert keys(A, keyed, run="may")[0] != keys(A, keyed)[0]
    assert keys(A, keyed, run="may")[1] == keys(A, keyed)[1] == "k"


BAD = [
    (b"{", "malformed_json"),
    (b"[]", "wrong_type"),
    (b"\xff", "body_not_utf8"),
    (orjson.dumps(A)[:-1] + b',"currency":"USD"}', "duplicate_json_key"),
    (b'{"order":{},"colour":1}', "unknown_field"),
    (b'{"a":NaN}', "malformed_json"),
    (b'{"a":"\\ud800"}', "invalid_unicode"),
    (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "json_too_complex"),
    (b'{"a":1' + b"0" * 5_000 + b"}", "number_out_of_range"),
    (b'{"a":1e99999999999999999999}', "number_out_of_range"),
    (b'{"order":{},"idempotency_key":"a b"}', "idempotency_key_invalid"),
    (b'{"order":{},"idempotency_key":1}', "idempotency_key_invalid"),
    (b'{"a":"' + b"x" * MAX_BYTES + b'"}', "body_too_large"),
    (b'{"a":"' + b"x" * (MAX_BYTES - 20) + b'"}', "body_too_large"),
    (b"x" * MAX_BYTES * 3, "body_too_large"),
]


@pytest.mark.parametrize(("line", "code"), BAD, ids=[f"{code}-{number}" for number, (_, code) in enumerate(BAD)])
def test_a_line_that_cannot_be_sent_has_a_number_and_a_reason_and_the_next_is_read(line: bytes, code: str) -> None:
    [before, bad, after] = read(A, line, B)

    assert isinstance(bad, BadLine)
    assert (bad.number, bad.code) == (2, code)
    assert isinstance(before, OrderLine)
    assert isinstance(after, OrderLine)
    assert after.number == 3


def refused_record(line: bytes | dict[str, Any]) -> dict[str, Any]:
    """Return what the file of refused lines says of a line that cannot be sent."""
    with tempfile.TemporaryDirectory() as directory:
        file = RefusedFile(Path(directory, "refused"))
        [bad] = read(line)
        assert isinstance(bad, BadLine)
        file.add(bad)
        file.close()
        record: dict[str, Any] = orjson.loads(file.path.read_bytes())
    return record


@pytest.mark.parametrize("corrected", [A, {"idempotency_key": "k", "order": A}])
def test_a_refused_text_that_was_corrected_is_the_line_it_stands_for(corrected: dict[str, Any]) -> None:
    record = refused_record(orjson.dumps(A)[:-1])

    assert read(record | {"text": orjson.dumps(corrected).decode()}) == read(corrected)


@pytest.mark.parametrize("line", [*(line for line, _ in BAD if len(line) < MAX_BYTES / 2), b"x" * MAX_BYTES])
def test_a_refused_text_that_is_still_wrong_is_refused_again_as_that_text(line: bytes) -> None:
    first = refused_record(line)

    again = refused_record(first)

    assert (again["text"], refused_record(again)) == (first["text"], again)


def test_what_stands_for_bytes_that_were_no_text_is_not_taken_for_what_was_meant() -> None:
    record = refused_record(orjson.dumps(A | {"external_reference": "PO-?"}).replace(b"?", b"\xff"))
    corrected = record | {"text": record["text"].replace("\ufffd", "\u00ff")}

    assert refused_record(record)["refused"]["code"] == "body_not_utf8"
    assert read(corrected) == read(A | {"external_reference": "PO-\u00ff"})


@pytest.mark.parametrize("text", [1, None, {}])
def test_a_refused_line_whose_text_is_not_a_string_is_refused(text: object) -> None:
    record = refused_record({"refused": {"line": 7}, "text": text})

    assert record["refused"]["code"] == "wrong_type"
    assert refused_record(record) == record


def test_slices_are_bounded_by_lines_and_tell_how_far_in_the_file_they_reach() -> None:
    data = text(A, b"{", B, b"", C, A)

    made = slices(data, max_orders=2)

    assert [(len(each.orders), len(each.bad)) for each in made] == [(1, 1), (2, 0), (1, 0)]
    assert sum(each.file_bytes for each in made) == len(data)


def test_slices_are_bounded_by_the_bytes_of_their_body() -> None:
    heavy = [{"order": A | {"metadata": {"a": str(number) * 100_000}}} for number in range(10)] * 3

    made = slices(text(*heavy))

    assert [len(each.orders) for each in made] == [10, 10, 10]
    assert all(len(body(each.orders)) <= MAX_BYTES for each in made)
    assert len(body([*made[0].orders, made[1].orders[0]])) > MAX_BYTES


def test_a_file_without_orders_has_no_slices() -> None:
    assert slices(b"\n\r\n  \n") == []
