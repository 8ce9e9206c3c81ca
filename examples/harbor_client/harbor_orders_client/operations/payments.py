"""The operations that move an order's money, as requests: authorize, capture, void, cancel, refund, settle."""

from collections.abc import Sequence
from datetime import date

from harbor_orders_client.documents.changes import LineShare
from harbor_orders_client.documents.new_orders import Money, amount_text
from harbor_orders_client.documents.responses import Order
from harbor_orders_client.operations.requests import given, order_path, request
from harbor_orders_client.transport.wire import Request


def authorize_order(order_id: str, *, reason: str | None = None, idempotency_key: str | None = None) -> Request[Order]:
    """Authorize the whole amount of a pending order."""
    body = given(reason=reason)
    return request("POST", order_path(order_id, "authorize"), Order, body=body, idempotency_key=idempotency_key)


def capture_order(
    order_id: str,
    *,
    amount: Money | None = None,
    lines: Sequence[LineShare] | None = None,
    final: bool = True,
    reason: str | None = None,
    idempotency_key: str | None = None,
) -> Request[Order]:
    """Capture an amount, or lines, or by default all that is left. Another may follow one that is not `final`."""
    body = given(
        amount=_text(amount),
        lines=None if lines is None else [{"line_id": each.line_id, "quantity": each.quantity} for each in lines],
        final=final,
        reason=reason,
    )
    return request("POST", order_path(order_id, "captures"), Order, body=body, idempotency_key=idempotency_key)


def void_order(order_id: str, *, reason: str | None = None, idempotency_key: str | None = None) -> Request[Order]:
    """Release what is authorized and not captured."""
    body = given(reason=reason)
    return request("POST", order_path(order_id, "void"), Order, body=body, idempotency_key=idempotency_key)


def cancel_order(order_id: str, *, reason: str | None = None, idempotency_key: str | None = None) -> Request[Order]:
    """Cancel an order before anything of it is captured."""
    body = given(reason=reason)
    return request("POST", order_path(order_id, "cancel"), Order, body=body, idempotency_key=idempotency_key)


def refund_order(
    order_id: str, *, amount: Money | None = None, reason: str | None = None, idempotency_key: str | None = None
) -> Request[Order]:
    """Refund an amount of what is captured; by default all that is left of it."""
    body = given(amount=_text(amount), reason=reason)
    return request("POST", order_path(order_id, "refunds"), Order, body=body, idempotency_key=idempotency_key)


def settle_order(
    order_id: str,
    *,
    gross: Money,
    fee: Money,
    net: Money,
    value_date: date,
    batch: str | None = None,
    reason: str | None = None,
    idempotency_key: str | None = None,
) -> Request[Order]:
    """Record money that has arrived: gross less fee is net; `batch` names the payout."""
    body = given(
        gross=_text(gross),
        fee=_text(fee),
        net=_text(net),
        value_date=_day(value_date),
        batch=batch,
        reason=reason,
    )
    return request("POST", order_path(order_id, "settlements"), Order, body=body, idempotency_key=idempotency_key)


def _day(value: date) -> str:
    if not isinstance(value, date):
        raise TypeError(f"value_date is a date, not {type(value).__name__}")
    return value.strftime("%Y-%m-%d")


def _text(amount: Money | None) -> str | None:
    return None if amount is None else amount_text(amount)
