"""The one JSON document of an order: its schema, and the bytes that responses, read models and webhooks share.

`Order` describes the document in OpenAPI; `render_order` writes it. A test validates the bytes against the schema.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field

from domain.instants import instant_text
from domain.money import AmountDocument, amount_document
from domain.order.state import OrderState
from domain.order.status import Completion, Status
from domain.order.transitions import allowed_transitions

_TOTAL = {"amount": "39.98", "amount_minor": 3998, "currency": "EUR"}
_ZERO = {"amount": "0.00", "amount_minor": 0, "currency": "EUR"}


class Document(BaseModel):
    """A closed JSON document: a member that is not declared is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Money(Document):
    """An amount as decimal text and in whole minor units, with its currency."""

    amount: str = Field(examples=["19.99"])
    amount_minor: int = Field(examples=[1999])
    currency: str = Field(examples=["EUR"])


class OrderLine(Document):
    """One line of an order; `total` = quantity x unit price."""

    line_id: int
    sku: str = Field(examples=["85123A"])
    quantity: int = Field(examples=[2])
    unit_price: Money
    total: Money = Field(examples=[_TOTAL])


class Order(Document):
    """An order as of `version`; `status`, `refund_status` and `settlement_status` follow from the amounts."""

    id: UUID
    object: Literal["order"]
    livemode: bool
    status: Status
    version: int
    currency: str = Field(examples=["EUR"])
    total: Money = Field(examples=[_TOTAL])
    authorized: Money = Field(examples=[_ZERO])
    captured: Money = Field(examples=[_ZERO])
    released: Money = Field(examples=[_ZERO])
    refunded: Money = Field(examples=[_ZERO])
    settled: Money = Field(examples=[_ZERO])
    capturable: Money = Field(examples=[_ZERO])
    refundable: Money = Field(examples=[_ZERO])
    refund_status: Completion
    settlement_status: Completion
    external_reference: str | None = Field(examples=["PO-2026-0042"])
    customer_email: str | None = Field(examples=["buyer@example.com"])
    metadata: dict[str, str]
    lines: list[OrderLine]
    allowed_transitions: list[Status] = Field(examples=[["authorized", "canceled"]])
    created_at: datetime
    updated_at: datetime
    expires_at: datetime = Field(examples=["2026-11-30T01:02:03.123456Z"])
    auth_expires_at: datetime | None = Field(examples=[None])
    cancel_reason: str | None


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
