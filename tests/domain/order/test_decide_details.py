"""What changes beside the money: lines while pending, the buyer's address, the reference, metadata, notes."""

from dataclasses import replace
from typing import Any

import pytest

from domain.money import MAX_AMOUNT_MINOR
from domain.order.commands import (
    AddLine,
    AddNote,
    AmendLines,
    LineAmendment,
    NewLine,
    RemoveLine,
    SetPrice,
    SetQuantity,
    UpdateDetails,
)
from domain.order.decide import decide
from domain.order.errors import FieldLockedError
from domain.order.event_parts import AmendedLine, ClearNote, ClearPersonal, LineChange
from domain.order.events import OrderAmended, OrderDetailsChanged, OrderNoteAdded
from tests.support.orders.spec import AUTHORIZED, LATER, ORDER_ID, PENDING, event, given, totals

NOTHING = UpdateDetails(ORDER_ID, None, None, None, LATER)


def amend(*changes: LineAmendment, reason: str | None = None) -> AmendLines:
    return AmendLines(ORDER_ID, changes, reason, LATER)


def test_an_amendment_applies_its_changes_in_order_and_lists_all_lines() -> None:
    command = amend(
        AddLine("LANTERN-2", 2, "24.90"), SetQuantity(1, 5), SetPrice(1, "18"), RemoveLine(2), reason="new list"
    )
    given().when(command).then(
        event(
            OrderAmended,
            PENDING,
            PENDING,
            totals(13980, authorized=0),
            lines=(
                AmendedLine(line_id=1, sku="LANTERN-1", quantity=5, unit_price_minor=1800, total_minor=9000),
                AmendedLine(line_id=3, sku="LANTERN-2", quantity=2, unit_price_minor=2490, total_minor=4980),
            ),
            changes=(
                LineChange(op="add", line_id=3, quantity=2, unit_price_minor=2490),
                LineChange(op="set_quantity", line_id=1, quantity=5, unit_price_minor=None),
                LineChange(op="set_price", line_id=1, quantity=None, unit_price_minor=1800),
                LineChange(op="remove", line_id=2, quantity=None, unit_price_minor=None),
            ),
            reason="new list",
        )
    )


def test_the_id_of_a_removed_line_is_not_reused() -> None:
    once = given("amend").when(amend(RemoveLine(3))).state_after()
    again = given("amend").when(amend(RemoveLine(3), AddLine("NEW", 1, "1"))).state_after()
    assert [line.line_id for line in once.lines] == [1, 2]
    assert [line.line_id for line in again.lines] == [1, 2, 4]


def test_an_amendment_that_changes_nothing_has_no_event() -> None:
    given().when(amend(SetQuantity(1, 3), SetPrice(2, "5.00"))).then_nothing()


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ((), "/changes", "changes_required"),
        ((RemoveLine(1),) * 1001, "/changes", "too_many_changes"),
        ((RemoveLine(1), RemoveLine(2)), "/changes", "lines_required"),
        ((RemoveLine(7),), "/changes/0/line_id", "line_unknown"),
        ((RemoveLine(1), SetQuantity(1, 2)), "/changes/1/line_id", "line_unknown"),
        ((SetPrice(9, "1"),), "/changes/0/line_id", "line_unknown"),
        ((SetQuantity(1, 0),), "/changes/0/quantity", "quantity_out_of_range"),
        ((AddLine("A", 1000, "1"),), "/changes/0/quantity", "quantity_out_of_range"),
        ((AddLine("A\x00", 1, "1"),), "/changes/0/sku", "text_character"),
        ((AddLine("A", 1, "0"),), "/changes/0/unit_price", "amount_zero"),
        ((SetPrice(1, "1.999"),), "/changes/0/unit_price", "currency_precision"),
        ((AddLine("A", 1, str(MAX_AMOUNT_MINOR // 100)),), "/changes", "amount_too_large"),
        (tuple(AddLine("A", 1, "1") for _ in range(999)), "/changes", "too_many_lines"),
    ],
)
def test_an_amendment_that_breaks_a_rule_changes_nothing_and_names_the_change(
    changes: tuple[LineAmendment, ...], pointer: str, code: str
) -> None:
    given().when(AmendLines(ORDER_ID, changes, None, LATER)).then_violates((pointer, code))


def test_all_broken_changes_are_listed_at_once() -> None:
    command = amend(AddLine("", 0, "x"), RemoveLine(9))
    given().when(command).then_violates(
        ("/changes/0/sku", "text_empty"),
        ("/changes/0/quantity", "quantity_out_of_range"),
        ("/changes/0/unit_price", "amount_malformed"),
        ("/changes/1/line_id", "line_unknown"),
    )


def test_details_that_differ_are_changed_and_named() -> None:
    command = UpdateDetails(ORDER_ID, "other@example.com", "PO-1", {"channel": "phone"}, LATER)
    given(metadata={"channel": "web"}).when(command).then(
        event(
            OrderDetailsChanged,
            PENDING,
            PENDING,
            totals(authorized=0),
            changed=("customer_email", "external_reference", "metadata"),
            external_reference="PO-1",
            metadata={"channel": "phone"},
            personal=ClearPersonal(scheme="clear", customer_email="other@example.com"),
        )
    )


def test_details_that_are_left_out_stay_unchanged() -> None:
    spec = given(external_reference="PO-1", metadata={"a": "b"}).when(replace(NOTHING, customer_email="o@example.com"))
    state = spec.state_after()
    assert (state.customer_email, state.external_reference, state.metadata) == ("o@example.com", "PO-1", {"a": "b"})


@pytest.mark.parametrize(
    "asked", [{}, {"customer_email": "buyer@example.com"}, {"external_reference": "PO-1"}, {"metadata": {}}]
)
def test_details_that_change_nothing_have_no_event(asked: dict[str, Any]) -> None:
    given("authorize", external_reference="PO-1").when(replace(NOTHING, **asked)).then_nothing()


def test_the_address_is_locked_once_the_order_is_not_pending() -> None:
    locked = given("authorize").when(replace(NOTHING, customer_email="o@example.com")).then_refused(FieldLockedError)
    assert locked.requested == "customer_email"


def test_a_reference_can_be_set_once_in_any_status() -> None:
    spec = given("authorize", "capture").when(replace(NOTHING, external_reference="PO-1"))
    assert spec.state_after().external_reference == "PO-1"
    given(external_reference="PO-1").when(replace(NOTHING, external_reference="PO-2")).then_refused(FieldLockedError)


@pytest.mark.parametrize("past", [(), ("authorize",), ("authorize", "capture", "settle"), ("cancel",), ("expire",)])
def test_metadata_and_notes_are_accepted_in_every_status(past: tuple[str, ...]) -> None:
    assert given(*past).when(replace(NOTHING, metadata={"a": "b"})).state_after().metadata == {"a": "b"}
    assert given(*past).when(AddNote(ORDER_ID, "call first", "internal", LATER)).state_after().note_count == 1


def test_a_note_keeps_its_text_as_personal_data() -> None:
    given("authorize").when(AddNote(ORDER_ID, "ask for Ms Smith", "partner", LATER)).then(
        event(
            OrderNoteAdded,
            AUTHORIZED,
            AUTHORIZED,
            totals(),
            visibility="partner",
            personal=ClearNote(scheme="clear", note="ask for Ms Smith"),
        )
    )


def test_details_and_notes_keep_the_rules_for_texts() -> None:
    broken = UpdateDetails(ORDER_ID, "nobody", " PO", {"a b": "c"}, LATER)
    given().when(broken).then_violates(
        ("/customer_email", "email_malformed"),
        ("/external_reference", "text_spaces"),
        ("/metadata/a b", "metadata_key"),
    )
    given().when(AddNote(ORDER_ID, "\u202etwo", "partner", LATER)).then_violates(("/note", "text_character"))
    given().when(AddNote(ORDER_ID, "a" * 501, "partner", LATER)).then_violates(("/note", "text_too_long"))


def test_a_note_keeps_its_lines_and_joiners() -> None:
    (noted,) = decide(AddNote(ORDER_ID, "ring:\r\n\t1. \u0645\u06cc\u200c\u062e", "partner", LATER), given().state)

    assert isinstance(noted, OrderNoteAdded)
    assert noted.personal == ClearNote(scheme="clear", note="ring:\n\t1. \u0645\u06cc\u200c\u062e")


def test_the_reason_and_the_changes_of_an_amendment_are_refused_together() -> None:
    command = AmendLines(ORDER_ID, (RemoveLine(9),), " ", LATER)
    given().when(command).then_violates(("/reason", "text_blank"), ("/changes/0/line_id", "line_unknown"))


def test_a_thousand_lines_can_be_amended_at_once() -> None:
    lines = tuple(NewLine("A", 1, 100) for _ in range(1000))
    changes = tuple(SetQuantity(number, 2) for number in range(1, 1001))
    assert (
        given(lines=lines).when(AmendLines(ORDER_ID, changes, None, LATER)).state_after().ledger.total_minor == 200_000
    )
