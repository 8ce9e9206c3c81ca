"""The one JSON representation of an order, byte for byte."""

import orjson

from domain.money import currency
from domain.order.commands import NewLine
from domain.order.document import render_order
from tests.support.orders.builders import order_state
from tests.support.orders.spec import ORDER_ID

NOTHING = {"amount": "0.00", "amount_minor": 0, "currency": "EUR"}
PENDING = {
    "id": str(ORDER_ID),
    "object": "order",
    "livemode": False,
    "status": "pending",
    "version": 1,
    "currency": "EUR",
    "total": {"amount": "39.98", "amount_minor": 3998, "currency": "EUR"},
    **dict.fromkeys(("authorized", "captured", "released", "refunded", "settled", "capturable", "refundable"), NOTHING),
    "refund_status": "none",
    "settlement_status": "none",
    "external_reference": "PO-1",
    "customer_email": "buyer@example.com",
    "metadata": {"channel": "b2b"},
    "lines": [
        {
            "line_id": 1,
            "sku": "A",
            "quantity": 2,
            "unit_price": {"amount": "19.99", "amount_minor": 1999, "currency": "EUR"},
            "total": {"amount": "39.98", "amount_minor": 3998, "currency": "EUR"},
        }
    ],
    "allowed_transitions": ["authorized", "canceled"],
    "created_at": "2026-11-23T01:02:03.123456Z",
    "updated_at": "2026-11-23T01:02:03.123456Z",
    "expires_at": "2026-11-30T01:02:03.123456Z",
    "auth_expires_at": None,
    "cancel_reason": None,
}


def test_a_pending_order_is_rendered_in_a_fixed_key_order() -> None:
    state = order_state(
        order_id=ORDER_ID, lines=(NewLine("A", 2, 1999),), external_reference="PO-1", metadata={"channel": "b2b"}
    )
    assert render_order(state) == orjson.dumps(PENDING)


def test_a_captured_order_shows_its_amounts_and_can_only_be_settled() -> None:
    document = orjson.loads(render_order(order_state("authorize", "capture", currency=currency("JPY"))))
    assert (document["status"], document["version"], document["allowed_transitions"]) == ("captured", 3, ["settled"])
    assert document["captured"] == {"amount": "6497", "amount_minor": 6497, "currency": "JPY"}
    assert document["capturable"]["amount_minor"] == 0
    assert document["refundable"]["amount_minor"] == 6497
    assert document["auth_expires_at"] == "2026-11-30T01:02:04.123456Z"
    assert document["updated_at"] == "2026-11-23T01:02:05.123456Z"
