"""The one JSON representation of an order, byte for byte the same in answers, read models and webhooks."""

from datetime import datetime

import orjson

from domain.instants import instant_text
from domain.money import amount_document
from domain.order.state import OrderState
from domain.order.transitions import allowed_transitions


def render_order(state: OrderState) -> bytes:
    """Give an order as compact JSON in fixed key order; it holds nothing that the append assigns."""
    ledger, currency, status = state.ledger, state.currency, state.status
    return orjson.dumps(
        {
            "id": state.order_id,
            "object": "order",
            "livemode": state.livemode,
            "status": status,
            "version": state.version,
            "currency": currency.code,
            "total": amount_document(ledger.total_minor, currency),
            "authorized": amount_document(ledger.authorized_minor, currency),
            "captured": amount_document(ledger.captured_minor, currency),
            "released": amount_document(ledger.released_minor, currency),
            "refunded": amount_document(ledger.refunded_minor, currency),
            "settled": amount_document(ledger.settled_minor, currency),
            "capturable": amount_document(ledger.capturable_minor, currency),
            "refundable": amount_document(ledger.refundable_minor, currency),
            "refund_status": ledger.refund_status,
            "settlement_status": ledger.settlement_status,
            "external_reference": state.external_reference,
            "customer_email": state.customer_email,
            "metadata": state.metadata,
            "lines": _lines(state),
            "allowed_transitions": allowed_transitions(status),
            "created_at": instant_text(state.created_at),
            "updated_at": instant_text(state.updated_at),
            "expires_at": instant_text(state.expires_at),
            "auth_expires_at": _text(state.auth_expires_at),
            "cancel_reason": state.cancel_reason,
        }
    )


def _lines(state: OrderState) -> list[dict[str, object]]:
    return [
        {
            "line_id": line.line_id,
            "sku": line.sku,
            "quantity": line.quantity,
            "unit_price": amount_document(line.unit_price_minor, state.currency),
            "total": amount_document(line.total_minor, state.currency),
        }
        for line in state.lines
    ]


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)
