"""The operations on webhook endpoints and deliveries, as requests."""

from collections.abc import Sequence
from typing import Final

from harbor_orders_client.documents.responses import (
    NewWebhookEndpoint,
    Resend,
    WebhookDelivery,
    WebhookDeliveryWithAttempts,
    WebhookEndpoint,
)
from harbor_orders_client.operations.requests import API, item_path, listing, request
from harbor_orders_client.transport.session import Listing, reads, reads_nothing
from harbor_orders_client.transport.wire import Request, Service

ENDPOINTS: Final = f"{API}/webhook-endpoints"
DELIVERIES: Final = f"{API}/webhook-deliveries"


def create_webhook_endpoint(
    url: str, *, event_types: Sequence[str] = ("*",), description: str = "", payload: str = "snapshot"
) -> Request[NewWebhookEndpoint]:
    """Register where webhooks go. Keep the `secret` of the response: it is shown only once.

    It takes no idempotency key: when the response is lost this raises `OutcomeUnknown`; look into the list then, and
    delete what was made, for its secret is lost.
    """
    body = {"url": url, "event_types": list(event_types), "description": description, "payload": payload}
    return request("POST", ENDPOINTS, NewWebhookEndpoint, body=body)


def list_webhook_endpoints(*, page_size: int = 50) -> Listing[WebhookEndpoint]:
    """Return all endpoints, oldest first."""
    return listing(ENDPOINTS, WebhookEndpoint, page_size, {}, Service.COMMAND)


def get_webhook_endpoint(endpoint_id: str) -> Request[WebhookEndpoint]:
    """Get an endpoint, without its secret."""
    return request("GET", item_path(ENDPOINTS, endpoint_id), WebhookEndpoint, service=Service.COMMAND)


def delete_webhook_endpoint(endpoint_id: str) -> Request[None]:
    """Delete an endpoint; nothing is sent to it any more."""
    return Request("DELETE", item_path(ENDPOINTS, endpoint_id), reads_nothing, is_gone_done=True)


def list_webhook_deliveries(
    *, endpoint_id: str | None = None, status: str | None = None, page_size: int = 50
) -> Listing[WebhookDelivery]:
    """Return deliveries, newest first, over as many pages as there are."""
    return listing(DELIVERIES, WebhookDelivery, page_size, {"endpoint_id": endpoint_id, "status": status})


def get_webhook_delivery(delivery_id: str) -> Request[WebhookDeliveryWithAttempts]:
    """Get a delivery and its attempts."""
    return request("GET", item_path(DELIVERIES, delivery_id), WebhookDeliveryWithAttempts)


def resend_webhook_delivery(delivery_id: str) -> Request[Resend]:
    """Attempt a delivery again, with the same id and the same bytes; doing so twice does no harm."""
    return Request("POST", item_path(DELIVERIES, delivery_id, "resend"), reads(Resend))
