"""Which values a command may hold; every broken rule is listed with its place and code."""

import unicodedata

import pytest

from domain.money import MAX_AMOUNT_MINOR
from domain.order.commands import Cancel, NewLine, SetStatus
from domain.order.decide import decide
from domain.order.events import OrderCreated
from domain.order.status import Status
from tests.support.orders.builders import create_order_command
from tests.support.orders.spec import LATER, ORDER_ID, given, given_nothing


@pytest.mark.parametrize(
    ("line", "field", "code"),
    [
        (NewLine("A", 0, 100), "quantity", "quantity_out_of_range"),
        (NewLine("A", -6, 100), "quantity", "quantity_out_of_range"),
        (NewLine("A", 1000, 100), "quantity", "quantity_out_of_range"),
        (NewLine("A", 1, 0), "unit_price", "amount_zero"),
        (NewLine("A", 1, -1), "unit_price", "amount_zero"),
        (NewLine("A", 2, MAX_AMOUNT_MINOR), "unit_price", "amount_too_large"),
        (NewLine("", 1, 100), "sku", "text_empty"),
        (NewLine("A\x00", 1, 100), "sku", "text_character"),
    ],
)
def test_a_line_that_breaks_a_rule_is_named(line: NewLine, field: str, code: str) -> None:
    command = create_order_command(lines=(NewLine("A", 1, 100), line))
    given_nothing().when(command).then_violates((f"/lines/1/{field}", code))


@pytest.mark.parametrize("line", [NewLine("A", 1, 1), NewLine("A", 999, 1), NewLine("A", 1, MAX_AMOUNT_MINOR)])
def test_a_line_at_its_limits_is_accepted(line: NewLine) -> None:
    assert decide(create_order_command(lines=(line,)), None)


def test_an_order_has_one_to_a_thousand_lines() -> None:
    line = NewLine("A", 1, 1)
    assert decide(create_order_command(lines=(line,) * 1000), None)
    given_nothing().when(create_order_command(lines=())).then_violates(("/lines", "lines_required"))
    given_nothing().when(create_order_command(lines=(line,) * 1001)).then_violates(("/lines", "too_many_lines"))


def test_lines_sum_to_at_most_the_largest_amount() -> None:
    half = NewLine("A", 1, MAX_AMOUNT_MINOR // 2)
    assert decide(create_order_command(lines=(half, half)), None)
    too_much = create_order_command(lines=(half, half, NewLine("A", 1, 1)))
    given_nothing().when(too_much).then_violates(("/lines", "amount_too_large"))


def test_all_broken_rules_are_listed_at_once() -> None:
    command = create_order_command(
        customer_email="nobody", external_reference=" PO", metadata={"a b": "c"}, lines=(NewLine("A", 0, 0),)
    )
    given_nothing().when(command).then_violates(
        ("/customer_email", "email_malformed"),
        ("/external_reference", "text_spaces"),
        ("/metadata/a b", "metadata_key"),
        ("/lines/0/quantity", "quantity_out_of_range"),
        ("/lines/0/unit_price", "amount_zero"),
    )


def test_there_may_be_thousands() -> None:
    command = create_order_command(lines=(NewLine("", 0, 0),) * 1000)
    broken = [("sku", "text_empty"), ("quantity", "quantity_out_of_range"), ("unit_price", "amount_zero")]
    expected = [(f"/lines/{n}/{field}", code) for n in range(1000) for field, code in broken]
    given_nothing().when(command).then_violates(*expected)


def test_a_refusal_never_repeats_what_was_sent() -> None:
    canary = "k4nary"
    command = create_order_command(
        customer_email=canary,
        external_reference=f" {canary}",
        metadata={f"{canary} ": canary},
        lines=(NewLine(f"{canary}\x00", 0, 0),),
    )
    violations = given_nothing().when(command).violations()
    assert len(violations) == 6
    assert not [each for each in violations if canary in each.detail]
    assert [each.path for each in violations if canary in repr(each.path)] == [("metadata", f"{canary} ")]


def test_texts_are_kept_in_nfc() -> None:
    nfd = unicodedata.normalize("NFD", "Café")
    (created,) = decide(create_order_command(external_reference=nfd, lines=(NewLine(nfd, 1, 1),)), None)
    assert isinstance(created, OrderCreated)
    assert (created.external_reference, created.lines[0].sku) == ("Café", "Café")


def test_a_reason_keeps_the_rules_of_texts_in_every_status() -> None:
    given().when(Cancel(ORDER_ID, "a\rb", LATER)).then_violates(("/reason", "text_character"))
    given("cancel").when(Cancel(ORDER_ID, "", LATER)).then_violates(("/reason", "text_empty"))
    command = SetStatus(ORDER_ID, Status.PENDING, "x" * 501, LATER)
    given().when(command).then_violates(("/reason", "text_too_long"))
