"""A small, typed client of Harbor Orders.

with HarborOrders(api_key, command_url=..., query_url=...) as harbor:
    order = harbor.orders.create("ada@example.com", "EUR", [NewLine("SHIP-BELL", 2, "19.99")])
"""

from harbor_orders_client import webhooks
from harbor_orders_client.clients import AsyncHarborOrders, HarborOrders
from harbor_orders_client.documents.changes import AddLine, LineChange, LineShare, RemoveLine, SetPrice, SetQuantity
from harbor_orders_client.documents.new_orders import Money, NewLine, NewOrder
from harbor_orders_client.documents.responses import (
    Actor,
    Amount,
    ApiKey,
    ApiKeyEvent,
    Attempt,
    Line,
    NewApiKey,
    NewWebhookEndpoint,
    Note,
    Order,
    OrderStatus,
    Resend,
    RotatedApiKey,
    TimelineEntry,
    WebhookDelivery,
    WebhookDeliveryWithAttempts,
    WebhookEndpoint,
)
from harbor_orders_client.errors import (
    ApiError,
    BatchInterrupted,
    Conflict,
    ConnectionFailed,
    Forbidden,
    HarborError,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnexpectedResponse,
    ValidationFailed,
    WebhookNotVerified,
)
from harbor_orders_client.operations.batches import BatchItem
from harbor_orders_client.problems import FieldError
from harbor_orders_client.transport.wire import Service
from harbor_orders_client.webhooks import WebhookEvent

__all__ = [
    "Actor",
    "AddLine",
    "Amount",
    "ApiError",
    "ApiKey",
    "ApiKeyEvent",
    "AsyncHarborOrders",
    "Attempt",
    "BatchInterrupted",
    "BatchItem",
    "Conflict",
    "ConnectionFailed",
    "FieldError",
    "Forbidden",
    "HarborError",
    "HarborOrders",
    "Line",
    "LineChange",
    "LineShare",
    "Money",
    "NewApiKey",
    "NewLine",
    "NewOrder",
    "NewWebhookEndpoint",
    "NotFound",
    "Note",
    "Order",
    "OrderStatus",
    "OutcomeUnknown",
    "PreconditionFailed",
    "RateLimited",
    "RemoveLine",
    "Resend",
    "RotatedApiKey",
    "Service",
    "SetPrice",
    "SetQuantity",
    "TimelineEntry",
    "Unauthorized",
    "Unavailable",
    "UnexpectedResponse",
    "ValidationFailed",
    "WebhookDelivery",
    "WebhookDeliveryWithAttempts",
    "WebhookEndpoint",
    "WebhookEvent",
    "WebhookNotVerified",
    "webhooks",
]
