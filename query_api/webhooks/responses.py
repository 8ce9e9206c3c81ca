"""The documents about webhook deliveries."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field

from domain.instants import Instant
from infra.http.cursors import Page
from query_api.documents import RowDocument


def _as_text(value: Any) -> Any:
    """Return what a receiver said, whatever its bytes are."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class Delivery(RowDocument):
    """One event on its way to one endpoint."""

    id: UUID
    object: Literal["webhook_delivery"]
    endpoint_id: UUID = Field(examples=["019aaf2a-11b0-7e02-9c1d-5a3e8f6b7c20"])
    event_id: UUID = Field(examples=["019aaf2e-9d5d-7a10-b2c3-1d4e5f607182"])
    event_type: str = Field(examples=["order.created"])
    order_id: UUID
    sequence: int
    status: Literal["pending", "delivered", "dead", "discarded"] = Field(examples=["delivered"])
    attempt_count: int
    next_attempt_at: Instant | None = Field(examples=[None])
    last_outcome: str | None = Field(examples=["delivered"])
    last_status: int | None = Field(examples=[204])
    first_attempt_at: Instant | None
    last_attempt_at: Instant | None
    created_at: Instant


class Attempt(RowDocument):
    """One POST. `answer` is the beginning of the response body."""

    attempt: int
    started_at: Instant
    latency_ms: int = Field(examples=[12])
    outcome: str = Field(examples=["delivered"])
    status: int | None = Field(examples=[204])
    answer: Annotated[str, BeforeValidator(_as_text)] = Field(examples=[""])


class DeliveryWithAttempts(Delivery):
    """A delivery and its attempts, latest first."""

    attempts: list[Attempt]


class DeliveryPage(Page[Delivery]):
    """A page of webhook deliveries."""
