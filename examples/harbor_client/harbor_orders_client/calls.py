"""Every operation of the API as a request: what is sent, and how the answer is read. No I/O, one function each.

To add a verb, write its function here and name it in both clients (clients.py).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from harbor_orders_client.changes import LineChange, document_of
from harbor_orders_client.documents import (
    NewWebhookEndpoint,
    Note,
    Order,
    Resend,
    TimelineEntry,
    WebhookDelivery,
    WebhookDeliveryWithAttempts,
    WebhookEndpoint,
)
from harbor_orders_client.new_orders import NewLine, NewOrder, encode, new_key
from harbor_orders_client.session import Listing, Page, reads, reads_nothing, reads_page
from harbor_orders_client.wire import Repeat, Reply, Request, Service

T = TypeVar("T")
API: Final = "/api/v1"
ORDERS: Final = f"{API}/orders"
ENDPOINTS: Final = f"{API}/webhook-endpoints"
DELIVERIES: Final = f"{API}/webhook-deliveries"
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_KEYED: Final = re.compile(rf"{ORDERS}(?:/|$)|{API}/api-keys(?:/[^/]+/rotate)?$")
_READING: Final = frozenset({"GET", "HEAD"})


def request(
    method: str,
    path: str,
    answer: type[T],
    *,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    if_match: int | None = None,
    service: Service | None = None,
    repeat: Repeat | None = None,
) -> Request[T]:
    """Make any request of the API.

    Args:
        method: of HTTP.
        path: from `/api/v1` on.
        answer: what the answer is read as: one of this package's dataclasses, or `dict` for the document as it is.
        body: the JSON object to send.
        query: parameters of the address.
        idempotency_key: of a change of orders, or of what makes an API key; a new one when none is given. Another
            change has none unless given, and is then not repeated when its outcome is unknown.
        if_match: the version that the order must have.
        service: which service answers; None: the query service what reads, the command service what changes.
        repeat: whether it may be sent again when its outcome is unknown; None: if it reads or has a key.
    """
    is_read = method in _READING
    if idempotency_key is None and not is_read and _KEYED.match(path):
        idempotency_key = new_key()
    return Request(
        method,
        path,
        reads(answer),
        service or (Service.QUERY if is_read else Service.COMMAND),
        content=b"" if body is None else encode(body),
        query=query or {},
        headers={} if if_match is None else {"if-match": f'"{if_match}"'},
        idempotency_key=idempotency_key,
        repeat=repeat or (Repeat.ALWAYS if is_read or idempotency_key is not None else Repeat.UNLESS_IN_DOUBT),
        is_read=is_read,
    )


def create_order(
    customer_email: str,
    currency: str,
    lines: Sequence[NewLine],
    *,
    external_reference: str | None = None,
    metadata: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Request[Order]:
    """Create an order. However often it has to be sent, there is one."""
    new = NewOrder(customer_email, currency, lines, external_reference, metadata or {})
    return request("POST", ORDERS, Order, body=new.document(), idempotency_key=idempotency_key)


def amend_order(
    order_id: str,
    changes: Sequence[LineChange],
    *,
    version: int,
    reason: str | None = None,
    idempotency_key: str | None = None,
) -> Request[Order]:
    """Change lines of a pending order at `version`, all or none; `PreconditionFailed` when it has moved on."""
    body = given(changes=[document_of(change) for change in changes], reason=reason)
    path = order_path(order_id, "amendments")
    return request("POST", path, Order, body=body, if_match=version, idempotency_key=idempotency_key)


def update_order(
    order_id: str,
    *,
    version: int,
    customer_email: str | None = None,
    external_reference: str | None = None,
    metadata: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Request[Order]:
    """Change details of an order at `version`; what is not given stays, `metadata` replaces all pairs."""
    body = given(customer_email=customer_email, external_reference=external_reference, metadata=metadata)
    return request("PATCH", order_path(order_id), Order, body=body, if_match=version, idempotency_key=idempotency_key)


def add_note(
    order_id: str, note: str, *, visibility: str = "partner", idempotency_key: str | None = None
) -> Request[Order]:
    """Note something on an order, for everybody who sees it (`partner`) or for your own staff (`internal`)."""
    body = {"note": note, "visibility": visibility}
    return request("POST", order_path(order_id, "notes"), Order, body=body, idempotency_key=idempotency_key)


def set_order_status(
    order_id: str, status: str, *, reason: str | None = None, idempotency_key: str | None = None
) -> Request[Order]:
    """Do what leads to a status; the status the order has already changes nothing."""
    body = given(status=str(status), reason=reason)
    return request("PATCH", order_path(order_id, "status"), Order, body=body, idempotency_key=idempotency_key)


def get_order(order_id: str) -> Request[Order]:
    """Get an order."""
    return request("GET", order_path(order_id), Order)


def list_orders(
    *,
    status: str | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    external_reference: str | None = None,
    page_size: int = 50,
) -> Listing[Order]:
    """Return orders, newest first, over as many pages as there are. Instants need an offset."""
    filters = {
        "status": None if status is None else str(status),
        "created_from": instant(created_from),
        "created_to": instant(created_to),
        "external_reference": external_reference,
    }
    return listing(ORDERS, Order, page_size, filters)


def list_timeline(order_id: str, *, page_size: int = 50) -> Listing[TimelineEntry]:
    """Return the events of an order, oldest first."""
    return listing(order_path(order_id, "timeline"), TimelineEntry, page_size, {})


def list_notes(order_id: str, *, page_size: int = 50) -> Listing[Note]:
    """Return the notes on an order, oldest first."""
    return listing(order_path(order_id, "notes"), Note, page_size, {})


def create_webhook_endpoint(
    url: str, *, event_types: Sequence[str] = ("*",), description: str = "", payload: str = "snapshot"
) -> Request[NewWebhookEndpoint]:
    """Register where webhooks go. Keep the `secret` of the answer: it is shown this once.

    It takes no idempotency key: when the answer is lost this raises `OutcomeUnknown`; look into the list then, and
    delete what was made, for its secret is lost.
    """
    body = {"url": url, "event_types": list(event_types), "description": description, "payload": payload}
    return request("POST", ENDPOINTS, NewWebhookEndpoint, body=body)


def list_webhook_endpoints() -> Request[tuple[WebhookEndpoint, ...]]:
    """Return all endpoints, oldest first."""
    page = reads_page(WebhookEndpoint)

    def all_of_it(reply: Reply) -> tuple[WebhookEndpoint, ...]:
        return page(reply).data

    return Request("GET", ENDPOINTS, all_of_it, is_read=True)


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
    """Have a delivery attempted again, with the same id and the same bytes; twice is no harm."""
    return Request("POST", item_path(DELIVERIES, delivery_id, "resend"), reads(Resend))


def given(**values: object) -> dict[str, Any]:
    """Return the members that have a value."""
    return {name: value for name, value in values.items() if value is not None}


def order_path(order_id: str, *verb: str) -> str:
    """Return the path of an order, or of what is done to it.

    Raises:
        ValueError: it is not an id; what a path means must not depend on what an id holds.
    """
    return item_path(ORDERS, order_id, *verb)


def item_path(collection: str, identifier: str, *verb: str) -> str:
    """Return the path of one thing of a collection, or of what is done to it. Raises `ValueError`: it is not an id."""
    if not _ID.fullmatch(identifier):
        raise ValueError(f"{identifier!r} is not an id")
    return "/".join([collection, identifier, *verb])


def listing(
    path: str,
    kind: type[T],
    page_size: int,
    filters: Mapping[str, str | None],
    service: Service = Service.QUERY,
) -> Listing[T]:
    """Return a list that is asked for page by page."""
    asked = {name: value for name, value in filters.items() if value is not None}

    def page(cursor: str | None) -> Request[Page[T]]:
        query = asked | {"limit": str(page_size)} | ({} if cursor is None else {"cursor": cursor})
        return Request("GET", path, reads_page(kind), service, query=query, is_read=True)

    return Listing(page)


def instant(value: datetime | None) -> str | None:
    """Return an instant as it is sent."""
    return None if value is None else value.isoformat()
