"""The one table from domain errors to problems."""

import pytest

from command_api.catalogue import CATALOGUE, catalogue_markdown
from command_api.errors import translate
from command_api.orders.problems import AMOUNT_PROBLEMS, ORDER_PROBLEMS, order_problem
from domain.order.commands import Capture
from domain.order.decide import decide
from domain.order.errors import AmountError, InvalidCommandError, OrderError, TransitionError
from infra.event_store.protocol import EventStoreError, LogCorruptError
from infra.http.problems import ProblemType
from tests.support.orders.builders import NOW, create_order_command, order_state, verb_command


def leaves(kind: type[OrderError]) -> set[type[OrderError]]:
    below = {leaf for child in kind.__subclasses__() for leaf in leaves(child)}
    return below or {kind}


def test_every_refusal_of_the_domain_has_its_problem_and_no_problem_is_left_over() -> None:
    assert {leaf.code for leaf in leaves(TransitionError)} == {kind.code for kind in ORDER_PROBLEMS}
    assert {leaf.code for leaf in leaves(AmountError)} == {kind.code for kind in AMOUNT_PROBLEMS}


def test_a_refused_transition_becomes_a_409_that_tells_what_is_allowed() -> None:
    state = order_state("authorize")
    with pytest.raises(TransitionError) as refused:
        decide(verb_command("authorize", state.order_id, NOW), state)

    problem = order_problem(refused.value)

    assert (problem.kind.code, problem.kind.status) == ("already_authorized", 409)
    assert problem.members == {
        "current_status": "authorized",
        "requested": "authorize",
        "allowed_transitions": ["captured", "canceled"],
        "current_version": 2,
    }


def test_a_refused_amount_becomes_a_422_that_tells_what_is_left() -> None:
    state = order_state("authorize", "capture_some")
    with pytest.raises(AmountError) as refused:
        decide(Capture(state.order_id, NOW, "64.97"), state)

    problem = order_problem(refused.value)

    assert (problem.kind.code, problem.kind.status) == ("amount_exceeds_capturable", 422)
    assert problem.members == {
        "requested_amount": "64.97",
        "available_amount": "54.97",
        "currency": "EUR",
        "current_version": 3,
    }


def test_broken_values_become_a_422_with_pointers() -> None:
    with pytest.raises(InvalidCommandError) as refused:
        decide(create_order_command(customer_email="nobody", external_reference=""), None)

    problem = translate(refused.value)

    assert problem is not None
    assert problem.kind.status == 422
    assert [(error.pointer, error.code) for error in problem.errors] == [
        ("/customer_email", "email_malformed"),
        ("/external_reference", "text_empty"),
    ]


@pytest.mark.parametrize("unexpected", [ValueError("?"), EventStoreError("?"), LogCorruptError("a hole")])
def test_what_nobody_expected_is_not_translated(unexpected: Exception) -> None:
    assert translate(unexpected) is None


def test_codes_are_unique_and_every_503_may_be_repeated() -> None:
    assert len({kind.code for kind in CATALOGUE}) == len(CATALOGUE)
    assert all(kind.retryable for kind in CATALOGUE if kind.status == 503)


def test_one_code_with_two_meanings_stops_the_catalogue() -> None:
    with pytest.raises(ValueError, match="queue_full"):
        catalogue_markdown([ProblemType("queue_full", 400, "Something else", "Other.")])
    with pytest.raises(ValueError, match="amount_zero"):
        catalogue_markdown(other_fields={"amount_zero": "Something else."})


def test_field_codes_of_the_other_service_are_listed_too() -> None:
    assert "\n| `limit_invalid` | A limit. |\n" in catalogue_markdown(other_fields={"limit_invalid": "A limit."})
