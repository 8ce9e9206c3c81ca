"""Problem documents: a stable form, never longer than 4 KB, every code once."""

import re
from types import ModuleType
from typing import Any

import orjson
import pytest

from command_api import catalogue as command_catalogue
from command_api import errors as command_errors
from command_api import openapi as command_openapi
from infra.http import problems
from infra.http.problems import (
    MAX_PROBLEM_BYTES,
    OVERLOADED,
    VALIDATION_FAILED,
    FieldError,
    Problem,
    ProblemType,
    pointer,
    render,
)
from query_api import openapi as query_openapi
from query_api import problems as query_problems

ALL = (*problems.CATALOGUE, *query_problems.CATALOGUE)


def test_a_problem_has_the_members_of_rfc_9457_and_ours() -> None:
    problem = Problem(VALIDATION_FAILED, errors=(FieldError("/lines/0/sku", "too_long", "At most 64 characters."),))

    assert orjson.loads(render(problem, "/api/v1/orders", "r-1")) == {
        "type": "/errors/validation_failed",
        "title": "Validation failed",
        "status": 422,
        "detail": "One or more values are not acceptable; see errors.",
        "instance": "/api/v1/orders",
        "code": "validation_failed",
        "request_id": "r-1",
        "retryable": False,
        "errors": [{"pointer": "/lines/0/sku", "code": "too_long", "detail": "At most 64 characters."}],
    }


@pytest.mark.parametrize("count", [0, 1, 20, 21, 100_000])
def test_a_problem_lists_twenty_errors_at_most_and_fits_into_4_kilobytes_whatever_went_wrong(count: int) -> None:
    short = FieldError("/lines/0/quantity", "quantity_out_of_range", "A quantity is a whole number from 1 to 999.")
    long = FieldError("/" + "a" * 100_000, "unknown_field", "d" * 150)

    listed = orjson.loads(render(Problem(VALIDATION_FAILED, errors=(short,) * count), "/api/v1/orders", "r-1"))
    body = render(Problem(VALIDATION_FAILED, errors=(long,) * count), "/" + "b" * 100_000, "r" * 128)

    assert len(listed.get("errors", [])) == min(count, 20)
    assert listed.get("errors_omitted", 0) == max(0, count - 20)
    shown = orjson.loads(body)
    assert len(shown.get("errors", [])) + shown.get("errors_omitted", 0) == count
    assert len(body) <= MAX_PROBLEM_BYTES


def test_errors_that_were_only_counted_are_among_those_omitted() -> None:
    error = FieldError("/a", "required", "The field is missing.")

    shown = orjson.loads(render(Problem(VALIDATION_FAILED, errors=(error,), more_errors=7), "/", "r"))

    assert (len(shown["errors"]), shown["errors_omitted"]) == (1, 7)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), ""),
        (("lines", 0, "sku"), "/lines/0/sku"),
        (("metadata", "a/b~1"), "/metadata/a~1b~01"),
        (("metadata", "<script>"), "/metadata"),
        (("metadata", "x" * 41), "/metadata"),
        (("metadata", "", "deeper"), "/metadata"),
        (("caf\u00e9",), ""),
    ],
)
def test_a_pointer_stops_at_a_name_that_is_not_short_and_plain(path: tuple[int | str, ...], expected: str) -> None:
    assert pointer(path) == expected


def test_extension_members_stand_beside_the_others() -> None:
    body = orjson.loads(render(Problem(OVERLOADED, members={"current_status": "pending"}), "/", "r"))

    assert body["current_status"] == "pending"


def test_a_problem_to_retry_later_says_when() -> None:
    assert Problem(OVERLOADED).headers == {"retry-after": "1"}
    assert Problem(OVERLOADED, headers={"retry-after": "30"}).headers == {"retry-after": "30"}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.code)
def test_a_code_is_written_in_the_one_way_and_says_whether_to_retry(kind: problems.ProblemType) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", kind.code)
    assert kind.status in range(400, 600)
    assert kind.retryable is (kind.status in {408, 429} or kind.status >= 500)


def test_no_code_means_two_things() -> None:
    codes = [kind.code for kind in (*ALL, *command_catalogue.CATALOGUE)]

    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("module", [problems, command_errors, query_problems], ids=lambda module: module.__name__)
def test_every_code_that_is_defined_stands_in_the_catalogue(module: ModuleType) -> None:
    defined = {kind for kind in vars(module).values() if isinstance(kind, ProblemType)}

    assert defined <= {*ALL, *command_catalogue.CATALOGUE}


@pytest.mark.parametrize("document", [command_openapi.document(), query_openapi.document()])
def test_every_operation_declares_what_every_route_may_answer(document: dict[str, Any]) -> None:
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]

    assert operations
    for operation in operations:
        described = {status: response["description"] for status, response in operation["responses"].items()}
        missing = {kind.code for kind in problems.EVERY_ROUTE if kind.code not in described.get(str(kind.status), "")}
        assert not missing, operation["operationId"]
