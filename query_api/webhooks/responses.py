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
    endpoint_id: UUID
    event_id: UUID
    event_type: str = Field(examples=["order.created"])
    order_id: UUID
    sequence: int
    status: Literal["pending", "delivered", "dead", "discarded"]
    attempt_count: int
    next_attempt_at: Instant | None
    last_outcome: str | None
    last_status: int | None
    first_attempt_at: Instant | None
    last_attempt_at: Instant | None
    created_at: Instant


class Attempt(RowDocument):
    """One POST. `answer` is the beginning of the response body."""

    attempt: int
    started_at: Instant
    latency_ms: int
    outcome: str = Field(examples=["delivered"])
    status: int | None = Field(examples=[204])
    answer: Annotated[str, BeforeValidator(_as_text)] = Field(examples=["ok"])


class DeliveryWithAttempts(Delivery):
    """A delivery and its attempts, latest first."""

    attempts: list[Attempt]


class DeliveryPage(Page[Delivery]):
    """A page of webhook deliveries."""
