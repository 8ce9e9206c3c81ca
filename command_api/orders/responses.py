"""What answers look like, for OpenAPI only: the bytes come from `domain.order.document`, and a test compares both."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from domain.order.status import Share, Status


class Document(BaseModel):
    """A closed answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_TOTAL = {"amount": "39.98", "amount_minor": 3998, "currency": "EUR"}
_ZERO = {"amount": "0.00", "amount_minor": 0, "currency": "EUR"}


class Amount(Document):
    """Money: the decimal text, the same in minor units, and the currency."""

    amount: str = Field(examples=["19.99"])
    amount_minor: int = Field(examples=[1999])
    currency: str = Field(examples=["EUR"])


class OrderLineDocument(Document):
    """One line; `total` = quantity x unit price."""

    line_id: int
    sku: str = Field(examples=["85123A"])
    quantity: int = Field(examples=[2])
    unit_price: Amount
    total: Amount = Field(examples=[_TOTAL])


class OrderDocument(Document):
    """An order as of `version`; `status`, `refund_status` and `settlement_status` follow from the amounts."""

    id: UUID
    object: Literal["order"]
    livemode: bool
    status: Status
    version: int
    currency: str = Field(examples=["EUR"])
    total: Amount = Field(examples=[_TOTAL])
    authorized: Amount = Field(examples=[_ZERO])
    captured: Amount = Field(examples=[_ZERO])
    released: Amount = Field(examples=[_ZERO])
    refunded: Amount = Field(examples=[_ZERO])
    settled: Amount = Field(examples=[_ZERO])
    capturable: Amount = Field(examples=[_ZERO])
    refundable: Amount = Field(examples=[_ZERO])
    refund_status: Share
    settlement_status: Share
    external_reference: str | None = Field(examples=["PO-2026-0042"])
    customer_email: str | None = Field(examples=["buyer@example.com"])
    metadata: dict[str, str]
    lines: list[OrderLineDocument]
    allowed_transitions: list[Status] = Field(examples=[["authorized", "canceled"]])
    created_at: datetime
    updated_at: datetime
    expires_at: datetime = Field(examples=["2026-11-30T01:02:03.123456Z"])
    auth_expires_at: datetime | None = Field(examples=[None])
    cancel_reason: str | None
