"""The documents this service answers, as OpenAPI shows them. Bodies are served as stored bytes, never built from these.

Tests validate real answers against them, so the documentation cannot drift from the service.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from domain.order.document import Document, Order


class Actor(Document):
    """Who did it."""

    type: str = Field(examples=["api_key"])
    id: str = Field(examples=["acme"])
    key_id: str | None = Field(examples=["8Zk2Qp1x"])


class TimelineEntry(Document):
    """One event of an order."""

    sequence: int
    type: str = Field(examples=["order.created"])
    event_id: UUID
    occurred_at: datetime
    recorded_at: datetime
    actor: Actor
    from_: str | None = Field(alias="from")
    to: str = Field(examples=["pending"])
    reason: str | None
    changes: dict[str, Any]
    request_id: str | None
    position: int


class Note(Document):
    """A note on an order. `note` is null where its text was erased; `sequence` is that of its event."""

    sequence: int
    event_id: UUID
    occurred_at: datetime
    actor: Actor
    visibility: Literal["partner", "internal"]
    note: str | None = Field(examples=["call before delivery"])


class Delivery(Document):
    """One event on its way to one endpoint."""

    id: UUID
    object: Literal["webhook_delivery"]
    endpoint_id: UUID
    event_id: UUID
    event_type: str = Field(examples=["order.created"])
    order_id: UUID
    sequence: int
    status: Literal["pending", "delivered", "dead", "discarded"]
    attempt_count: int
    next_attempt_at: datetime | None
    last_outcome: str | None
    last_status: int | None
    first_attempt_at: datetime | None
    last_attempt_at: datetime | None
    created_at: datetime


class Attempt(Document):
    """One POST. `answer` is the beginning of what the receiver said."""

    attempt: int
    started_at: datetime
    latency_ms: int
    outcome: str = Field(examples=["delivered"])
    status: int | None = Field(examples=[204])
    answer: str = Field(examples=["ok"])


class DeliveryWithAttempts(Delivery):
    """A delivery and its attempts, latest first."""

    attempts: list[Attempt]


class Page(Document):
    """What every list has."""

    has_more: bool
    next_cursor: str | None


class OrderPage(Page):
    """A page of orders."""

    data: list[Order]


class TimelinePage(Page):
    """A page of a timeline."""

    data: list[TimelineEntry]


class NotePage(Page):
    """A page of notes."""

    data: list[Note]


class DeliveryPage(Page):
    """A page of webhook deliveries."""

    data: list[Delivery]
