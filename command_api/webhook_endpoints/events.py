"""What is sent to webhook endpoints, for the `webhooks` of the OpenAPI document; projections render the real bodies.

A test holds what is declared here to what is rendered there.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field

from domain.order.document import Document, Order
from domain.order.events import EVENT_TYPES


class ThinOrder(Document):
    """The order and its version, for receivers that read the rest from the query API."""

    id: UUID
    object: Literal["order"]
    version: int


class SnapshotData(Document):
    """The order as it stood right after the event, and what its changed members were before."""

    object: Order
    previous: dict[str, Any] = Field(examples=[{"status": "pending", "version": 1}])


class ThinData(Document):
    """What an endpoint with the payload `thin` is sent, and any endpoint when a snapshot would exceed 64 KiB."""

    object: ThinOrder


class WebhookEvent(Document):
    """The body of a webhook; the same bytes in every attempt. `id` is the event's, so a repetition is recognised."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: UUID
    type: str = Field(examples=["order.created"])
    timestamp: datetime = Field(description="when it happened")
    api_version: Literal["v1"]
    livemode: bool
    sequence: int = Field(description="place of the event in the order's own history: events may arrive in any order")
    order_id: UUID
    data: SnapshotData | ThinData
    request_id: str | None = Field(examples=["req-7f3a"])
    truncated: Literal[True] | None = Field(
        default=None, description="present when the snapshot was too large and became thin"
    )


class WebhookHeaders(BaseModel):
    """The headers of an attempt."""

    webhook_id: str = Field(description="the event's id", examples=["019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"])
    webhook_timestamp: str = Field(description="seconds since 1970, of this attempt", examples=["1795395723"])
    webhook_signature: str = Field(
        description="Standard Webhooks: v1 HMAC-SHA-256 over `id.timestamp.body`; several during a rotation, by space",
        examples=["v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="],
    )
    webhook_attempt: str = Field(description="1, 2, 3, ...", examples=["1"])
    webhook_sequence: str = Field(description="the same as `sequence` in the body", examples=["1"])


_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "2XX": {"description": "Delivered; only the beginning of the response is read."},
    410: {"description": "The endpoint is disabled and gets nothing more."},
    "4XX": {"description": "Sent again later, up to 13 attempts over three days; 429 may say when by Retry-After."},
    "5XX": {"description": "Sent again later, as above."},
}


def received(body: WebhookEvent, headers: Annotated[WebhookHeaders, Header()]) -> None:
    """Receive an event. Verify the signature, respond with 2xx within seconds, and do the work afterwards."""


router = APIRouter()
for _kind in EVENT_TYPES:
    router.add_api_route(
        _kind.type,
        received,
        methods=["POST"],
        operation_id=f"webhook_{_kind.type.replace('.', '_')}",
        name=_kind.type,
        summary=f"{_kind.type}: {(_kind.__doc__ or '').strip().splitlines()[0]}",
        tags=["webhooks"],
        responses=_RESPONSES,
    )
