"""What an event changed, as webhooks carry it: every fact that is not personal, with money as responses show it."""

from typing import Any, Final

import orjson
import pytest

from domain.catalogue.changes import CHANGES
from domain.catalogue.examples import examples
from domain.change import change_document, facts_of, former_values
from domain.codec import event_data
from domain.money import currency
from domain.order.commands import AddLine, AmendLines, Authorize, Capture, LineShare, RemoveLine, SetQuantity
from domain.order.document import render_order
from domain.order.events import EVENT_TYPES
from tests.support.orders.builders import NOW, create_order_command, order_state, record_all, recorded_history

SHARED: Final = frozenset({"currency", "from_status", "to_status", "totals"})


def change_of(*verbs: str) -> dict[str, Any]:
    """Return what the last event of a history changed, without what every change says."""
    change = change_document(recorded_history(*verbs)[-1].event)
    return {name: change[name] for name in change if name not in SHARED}


def eur(amount: str, minor: int) -> dict[str, object]:
    return {"amount": amount, "amount_minor": minor, "currency": "EUR"}


def test_every_event_type_has_a_closed_shape_of_its_change_and_fits_it() -> None:
    assert set(CHANGES) == {kind.type for kind in EVENT_TYPES}
    for event_type, example in examples().items():
        CHANGES[event_type].model_validate_json(orjson.dumps(change_document(example.recorded.event)))


@pytest.mark.parametrize(
    ("verbs", "expected"),
    [
        (("authorize", "capture", "refund_some"), {"amount": eur("5.00", 500), "reason": None}),
        (
            ("authorize", "capture_some"),
            {"amount": eur("10.00", 1000), "final": False, "lines": [], "reason": None},
        ),
        (
            ("authorize", "capture", "settle_some"),
            {
                "gross": eur("10.00", 1000),
                "fee": eur("1.00", 100),
                "net": eur("9.00", 900),
                "value_date": "2026-11-25",
                "batch": "B-1",
                "reason": None,
            },
        ),
        (("authorize", "cancel"), {"reason": None, "released": eur("64.97", 6497)}),
        (("details",), {"changed": ["metadata"], "external_reference": None, "metadata": {"changed": "yes"}}),
        (("note",), {"visibility": "partner"}),
    ],
)
def test_a_change_says_what_the_event_did(verbs: tuple[str, ...], expected: dict[str, object]) -> None:
    assert change_of(*verbs) == expected


def test_every_change_says_the_statuses_and_the_amounts_after_it() -> None:
    change = change_document(recorded_history("authorize", "capture_some")[-1].event)

    assert (change["from_status"], change["to_status"], change["currency"]) == (
        "authorized",
        "partially_captured",
        "EUR",
    )
    assert change["totals"] == {
        "total": eur("64.97", 6497),
        "authorized": eur("64.97", 6497),
        "captured": eur("10.00", 1000),
        "released": eur("0.00", 0),
        "refunded": eur("0.00", 0),
        "settled": eur("0.00", 0),
    }


def test_an_amendment_says_which_line_by_its_sku_and_a_removed_line_has_none() -> None:
    create = create_order_command()
    amended = AmendLines(
        create.order_id, (RemoveLine(2), AddLine("EXTRA", 1, "3"), SetQuantity(1, 5)), "as agreed", NOW
    )

    change = change_document(record_all([create, amended])[-1].event)

    assert "lines" not in change
    assert change["reason"] == "as agreed"
    assert change["changes"] == [
        {"op": "remove", "line_id": 2, "quantity": None, "unit_price": None, "sku": None},
        {"op": "add", "line_id": 3, "quantity": 1, "unit_price": eur("3.00", 300), "sku": "EXTRA"},
        {"op": "set_quantity", "line_id": 1, "quantity": 5, "unit_price": None, "sku": "LANTERN-1"},
    ]


def test_a_capture_of_lines_says_which() -> None:
    create = create_order_command()
    capture = Capture(create.order_id, NOW, lines=(LineShare(1, 2),), final=False)

    change = change_document(record_all([create, Authorize(create.order_id, NOW), capture])[-1].event)

    assert (change["amount"], change["lines"]) == (eur("39.98", 3998), [{"line_id": 1, "quantity": 2}])


@pytest.mark.parametrize(("code", "amount"), [("JPY", "5"), ("KWD", "0.005"), ("CLF", "0.0005")])
def test_amounts_have_the_digits_of_their_currency(code: str, amount: str) -> None:
    create = create_order_command(currency=currency(code))
    capture = Capture(create.order_id, NOW, amount, final=False)

    change = change_document(record_all([create, Authorize(create.order_id, NOW), capture])[-1].event)

    assert change["amount"] == {"amount": amount, "amount_minor": 5, "currency": code}


def test_metadata_is_the_partners_own_whatever_its_names() -> None:
    metadata = {"amount_minor": "five", "unit_price_minor": "5"}

    change = change_document(record_all([create_order_command(metadata=metadata)])[0].event)

    assert change["metadata"] == metadata


def test_nothing_personal_is_in_the_facts_of_an_event() -> None:
    for verbs in ((), ("details",), ("note",)):
        data = event_data(recorded_history(*verbs)[-1].event)
        assert "personal" in data
        assert facts_of(data) == {name: data[name] for name in data.keys() - {"personal"}}
        assert b"buyer@example.com" not in orjson.dumps(facts_of(data))


def test_former_values_are_those_of_the_members_that_changed() -> None:
    before, after = order_state(), order_state("authorize")

    former = former_values(render_order(before), render_order(after))

    assert (former["status"], former["version"]) == ("pending", 1)
    assert not {"currency", "total", "customer_email"} & set(former)
