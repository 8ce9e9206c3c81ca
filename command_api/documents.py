"""What answers look like, for OpenAPI only: the bytes come from `domain.order.document`, and a test compares both."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from domain.order.status import Share, Status


class Document(BaseModel):
    """A closed answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Amount(Document):
    """Money: the decimal text, the same in minor units, and the currency."""

    amount: str = Field(examples=["19.99"])
    amount_minor: int = Field(examples=[1999])
    currency: str = Field(examples=["EUR"])


class OrderLineDocument(Document):
    """One line; `total` = quantity x unit price."""

    line_id: int
    sku: str = Field(examples=["85123A"])
    quantity: int
    unit_price: Amount
    total: Amount


class OrderDocument(Document):
    """An order as of `version`; `status`, `refund_status` and `settlement_status` follow from the amounts."""

    id: UUID
    object: Literal["order"]
    livemode: bool
    status: Status
    version: int
    currency: str = Field(examples=["EUR"])
    total: Amount
    authorized: Amount
    captured: Amount
    released: Amount
    refunded: Amount
    settled: Amount
    capturable: Amount
    refundable: Amount
    refund_status: Share
    settlement_status: Share
    external_reference: str | None = Field(examples=["PO-2026-0042"])
    customer_email: str | None = Field(examples=["buyer@example.com"])
    metadata: dict[str, str]
    lines: list[OrderLineDocument]
    allowed_transitions: list[Status]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    auth_expires_at: datetime | None
    cancel_reason: str | None
