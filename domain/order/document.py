"""The one JSON representation of an order, byte for byte the same in answers, read models and webhooks."""

from datetime import datetime

import orjson

from domain.instants import instant_text
from domain.money import AmountDocument, amount_document
from domain.order.state import OrderState
from domain.order.transitions import allowed_transitions


def render_order(state: OrderState) -> bytes:
    """Return an order as compact JSON in fixed key order; it holds nothing that the append assigns."""
    ledger, currency, status = state.ledger, state.currency, state.status
    zero = amount_document(0, currency)  # most amounts of most orders are

    def amount(minor: int) -> AmountDocument:
        return amount_document(minor, currency) if minor else zero

    return orjson.dumps(
        {
            "id": state.order_id,
            "object": "order",
            "livemode": state.livemode,
            "status": status,
            "version": state.version,
            "currency": currency.code,
            "total": amount(ledger.total_minor),
            "authorized": amount(ledger.authorized_minor),
            "captured": amount(ledger.captured_minor),
            "released": amount(ledger.released_minor),
            "refunded": amount(ledger.refunded_minor),
            "settled": amount(ledger.settled_minor),
            "capturable": amount(ledger.capturable_minor),
            "refundable": amount(ledger.refundable_minor),
            "refund_status": ledger.refund_status,
            "settlement_status": ledger.settlement_status,
            "external_reference": state.external_reference,
            "customer_email": state.customer_email,
            "metadata": state.metadata,
            "lines": [
                {
                    "line_id": line.line_id,
                    "sku": line.sku,
                    "quantity": line.quantity,
                    "unit_price": amount(line.unit_price_minor),
                    "total": amount(line.total_minor),
                }
                for line in state.lines
            ],
            "allowed_transitions": allowed_transitions(status),
            "created_at": instant_text(state.created_at),
            "updated_at": instant_text(state.updated_at),
            "expires_at": instant_text(state.expires_at),
            "auth_expires_at": _text(state.auth_expires_at),
            "cancel_reason": state.cancel_reason,
        }
    )


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)
