"""What is sent to webhook endpoints, for the `webhooks` of the OpenAPI document; projections render the real bodies.

A test holds what is declared here to what is rendered there.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field, create_model

from domain.catalogue.changes import CHANGES, Change
from domain.catalogue.examples import examples as example_histories
from domain.change import change_document, former_values
from domain.instants import instant_text
from domain.order.document import Document, Order, render_order
from domain.order.envelope import RecordedOrderEvent
from domain.order.events import EVENT_TYPES, OrderEvent
from domain.order.state import OrderState


class ThinOrder(Document):
    """The order and its version, for receivers that read the rest from the query API."""

    id: UUID
    object: Literal["order"]
    version: int


class SnapshotData(Document):
    """What happened, the order as it stood right after it, and what its changed members were before."""

    model_config = ConfigDict(title="SnapshotData")  # of every event type: the contract compares variants by title

    change: Change
    object: Order
    previous: dict[str, Any]


class ThinData(Document):
    """What an endpoint with the payload `thin` is sent, and any endpoint when a snapshot would exceed 64 KiB."""

    model_config = ConfigDict(title="ThinData")

    change: Change | None = Field(description="null when it alone would exceed 64 KiB: the order's timeline has it")
    object: ThinOrder


class WebhookEvent(Document):
    """The body of a webhook; the same bytes in every attempt. `id` is the event's, so a repetition is recognised."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    type: str
    timestamp: datetime = Field(description="when it happened")
    api_version: Literal["v1"]
    livemode: bool
    sequence: int = Field(description="place of the event in the order's own history: events may arrive in any order")
    order_id: UUID
    data: SnapshotData | ThinData
    request_id: str | None
    truncated: Literal[True] | None = Field(
        default=None, description="present when something was left out because the body would exceed 64 KiB"
    )


def _event_of(kind: type[OrderEvent]) -> type[WebhookEvent]:
    """Return the body of one event type: its own `type` and the change that goes with it."""
    name, change = kind.__name__, CHANGES[kind.type]
    snapshot = create_model(
        f"{name}Snapshot", __base__=SnapshotData, __doc__=SnapshotData.__doc__, change=(change, ...)
    )
    about = ThinData.model_fields["change"].description
    thin = create_model(
        f"{name}Thin",
        __base__=ThinData,
        __doc__=ThinData.__doc__,
        change=(change | None, Field(description=about)),  # type: ignore[arg-type]  # mypy takes no union of variables
    )
    return create_model(
        f"{name}Webhook",
        __base__=WebhookEvent,
        __doc__=f"{kind.__doc__}\n\n{WebhookEvent.__doc__}",
        type=(Literal[kind.type], ...),  # type: ignore[arg-type]  # mypy takes no literal of a variable
        data=(snapshot | thin, ...),
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


def _receiver(event: type[WebhookEvent]) -> Callable[..., None]:
    def received(body: WebhookEvent, headers: Annotated[WebhookHeaders, Header()]) -> None:
        """Receive an event. Verify the signature, respond with 2xx within seconds, and do the work afterwards."""

    received.__annotations__["body"] = event
    return received


router = APIRouter()
for _kind in EVENT_TYPES:
    router.add_api_route(
        _kind.type,
        _receiver(_event_of(_kind)),
        methods=["POST"],
        operation_id=f"webhook_{_kind.type.replace('.', '_')}",
        name=_kind.type,
        summary=f"{_kind.type}: {(_kind.__doc__ or '').strip().splitlines()[0]}",
        tags=["webhooks"],
        responses=_RESPONSES,
    )


def examples() -> dict[str, dict[str, Any]]:
    """Return an example of the body of every event type: a snapshot."""
    return {event_type: _example(*each) for event_type, each in example_histories().items()}


def _example(recorded: RecordedOrderEvent, before: OrderState | None, after: OrderState) -> dict[str, Any]:
    (event, envelope), document = recorded, render_order(after)
    return {
        "id": str(envelope.event_id),
        "type": event.type,
        "timestamp": instant_text(envelope.occurred_at),
        "api_version": "v1",
        "livemode": envelope.livemode,
        "sequence": envelope.sequence,
        "order_id": str(envelope.order_id),
        "data": {
            "change": change_document(event),
            "object": orjson.loads(document),
            "previous": {} if before is None else former_values(render_order(before), document),
        },
        "request_id": envelope.request_id,
    }
