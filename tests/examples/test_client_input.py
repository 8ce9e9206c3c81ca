"""What the client of examples/harbor_client takes: what cannot be sent is refused before anything is. No I/O."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from harbor_orders_client import HarborOrders, NewOrder
from harbor_orders_client.documents.new_orders import amount_text
from harbor_orders_client.operations import orders, payments, requests


@pytest.mark.parametrize(
    "url",
    [
        *("", "orders.example.com", "ftp://a", "https://", " https://a", "https://a ", "https://a\n"),
        *("https://a?b", "https://a#b"),
    ],
)
def test_an_address_is_an_address(url: str) -> None:
    with pytest.raises(ValueError, match="addresses such as"):
        HarborOrders("k", command_url=url, query_url="https://a")


@pytest.mark.parametrize("order_id", ["", "..", "a/b", "a?b", "a b", "\u00e9"])
def test_a_malformed_id_is_not_put_into_a_path(order_id: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        orders.get_order(order_id)


@pytest.mark.parametrize("key", ["", " ", "abc ", " abc", "a b", "a\nb", "a\x00b", "é", "x" * 256])
def test_an_idempotency_key_that_no_header_can_carry_is_refused_before_anything_is_sent(key: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: orders.create_order("ada@example.com", "EUR", [], idempotency_key=key),
        lambda: payments.authorize_order("019a8b5c-0000-7000-8000-000000000000", idempotency_key=key),
        lambda: requests.request("POST", "/api/v1/orders", dict, idempotency_key=key),
        lambda: NewOrder("ada@example.com", "EUR", [], idempotency_key=key),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="idempotency_key is 1 to 255 visible ASCII characters"):
            call()


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "api/v1/orders"},
        {"method": "PO ST"},
        {"method": ""},
        {"if_match": "1\n"},
        {"if_match": '"1"'},
        {"if_match": 0},
    ],
)
def test_a_request_that_cannot_be_sent_as_it_is_is_refused_before_anything_is_sent(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"a path from /api/v1|the version of an order"):
        requests.request(read_as=dict, **{"method": "PATCH", "path": "/api/v1/orders/x"} | wrong)


def test_amounts_are_decimals_or_strings_and_go_out_in_full() -> None:
    given: list[Decimal | str] = [Decimal("19.90"), Decimal("1E+2"), Decimal("0.001"), "19.99"]
    assert [amount_text(each) for each in given] == ["19.90", "100", "0.001", "19.99"]
    with pytest.raises(TypeError, match="not float"):
        amount_text(19.99)  # type: ignore[arg-type]  # what a caller without types does
    for wrong in ("NaN", "Infinity", "1E+1000000"):
        with pytest.raises(ValueError, match="finite"):
            amount_text(Decimal(wrong))
