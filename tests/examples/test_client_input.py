"""What the client of examples/harbor_client takes: what cannot be sent is refused before anything is. No I/O."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from traceback import format_exception
from typing import Any
from uuid import uuid4

import pytest

from harbor_orders_client import AsyncHarborOrders, HarborOrders, NewOrder
from harbor_orders_client.documents.new_orders import amount_text
from harbor_orders_client.operations import api_keys, orders, payments, requests


@pytest.mark.parametrize(
    "url",
    [
        *("", "orders.example.com", "ftp://a", "https://", " https://a", "https://a ", "https://a\n"),
        *("https://a?b", "https://a#b", "https://a:0", "https://a:65536", "https://[a", "https://a\x00", None, 5),
    ],
)
def test_an_address_is_an_address(url: Any) -> None:
    with pytest.raises(ValueError, match="addresses such as"):
        HarborOrders("k", command_url=url, query_url="https://a")


@pytest.mark.parametrize(
    "url", ["http://u:s3cret@a", "https://s3cret@a:1", "https://:s3cret@a", "https://s3cret@\u2100", "https://a:s3cret"]
)
@pytest.mark.parametrize("address", ["command_url", "query_url"])
def test_an_address_with_a_password_is_refused_and_not_shown(address: str, url: str) -> None:
    urls: dict[str, Any] = {"command_url": "https://a", "query_url": "https://a"} | {address: url}
    for kind in (HarborOrders, AsyncHarborOrders):
        with pytest.raises(ValueError, match="without a user name or password") as refused:
            kind("k", **urls)
        assert "s3cret" not in "".join(format_exception(refused.value))


@pytest.mark.parametrize("key", ["", " k", "k\n", "k\u00e9", None, b"k"])
def test_an_api_key_is_a_text_that_a_header_can_carry(key: Any) -> None:
    with pytest.raises(ValueError, match="not an API key"):
        HarborOrders(key, command_url="https://a", query_url="https://a")


@pytest.mark.parametrize("order_id", ["", "..", "a/b", "a?b", "a b", "\u00e9", 5, None, uuid4()])
def test_a_malformed_id_is_not_put_into_a_path(order_id: Any) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        orders.get_order(order_id)


@pytest.mark.parametrize("key", ["", " ", "abc ", " abc", "a b", "a\nb", "a\x00b", "é", "x" * 256, 5, b"abc"])
def test_an_idempotency_key_that_no_header_can_carry_is_refused_before_anything_is_sent(key: Any) -> None:
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


@pytest.mark.parametrize("value", ["2026-11-30T00:00:00+01:00", 1764000000, date(2026, 11, 30)])
def test_an_instant_is_a_datetime_with_an_offset(value: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: orders.list_orders(created_from=value),
        lambda: orders.list_orders(created_to=value),
        lambda: api_keys.create_api_key(["orders:read"], expires_at=value),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=f"an instant is a datetime, not {type(value).__name__}"):
            call()
    with pytest.raises(ValueError, match="no offset"):
        orders.list_orders(created_from=datetime(2026, 11, 30))  # noqa: DTZ001  # what is refused
    assert requests.instant(datetime(2026, 11, 30, tzinfo=UTC)) == "2026-11-30T00:00:00+00:00"


@pytest.mark.parametrize("day", ["2026-11-25", 5])
def test_a_day_is_a_date(day: Any) -> None:
    with pytest.raises(TypeError, match="value_date is a date, not"):
        payments.settle_order("019a8b5c", gross="1.00", fee="0.00", net="1.00", value_date=day)


def test_amounts_are_decimals_or_strings_and_go_out_in_full() -> None:
    given: list[Decimal | str] = [Decimal("19.90"), Decimal("1E+2"), Decimal("0.001"), "19.99"]
    assert [amount_text(each) for each in given] == ["19.90", "100", "0.001", "19.99"]
    with pytest.raises(TypeError, match="not float"):
        amount_text(19.99)  # type: ignore[arg-type]  # what a caller without types does
    for wrong in ("NaN", "Infinity", "1E+1000000"):
        with pytest.raises(ValueError, match="finite"):
            amount_text(Decimal(wrong))
