"""The one table from domain errors to problems."""

import pytest

from command_api.catalogue import CATALOGUE, catalogue_markdown, errors_of_both
from command_api.errors import translate
from command_api.order_problems import AMOUNT_PROBLEMS, ORDER_PROBLEMS
from domain.order.errors import AmountError, OrderError, TransitionError
from infra.event_store.protocol import EventStoreError, LogCorruptError
from infra.http.problems import ProblemType


def leaves(kind: type[OrderError]) -> set[type[OrderError]]:
    below = {leaf for child in kind.__subclasses__() for leaf in leaves(child)}
    return below or {kind}


def test_every_refusal_of_the_domain_has_its_problem_and_no_problem_is_left_over() -> None:
    assert {leaf.code for leaf in leaves(TransitionError)} == {kind.code for kind in ORDER_PROBLEMS}
    assert {leaf.code for leaf in leaves(AmountError)} == {kind.code for kind in AMOUNT_PROBLEMS}


@pytest.mark.parametrize("unexpected", [ValueError("?"), EventStoreError("?"), LogCorruptError("a hole")])
def test_an_unexpected_error_is_not_translated(unexpected: Exception) -> None:
    assert translate(unexpected) is None


def test_codes_are_unique_and_every_503_may_be_repeated() -> None:
    assert len({kind.code for kind in CATALOGUE}) == len(CATALOGUE)
    assert all(kind.retryable for kind in CATALOGUE if kind.status == 503)


def test_one_code_with_two_meanings_stops_the_catalogue() -> None:
    with pytest.raises(ValueError, match="queue_full"):
        errors_of_both([ProblemType("queue_full", 400, "Something else", "Other.")], {})
    with pytest.raises(ValueError, match="amount_zero"):
        errors_of_both((), {"amount_zero": "Something else."})


def test_field_codes_of_the_other_service_are_listed_too() -> None:
    assert "\n| `size_invalid` | A size. |\n" in catalogue_markdown(errors_of_both((), {"size_invalid": "A size."}))
