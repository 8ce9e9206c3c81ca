"""The operations on orders, as requests; those that move money are in `payments.py`."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from harbor_orders_client.documents.changes import LineChange, document_of
from harbor_orders_client.documents.new_orders import NewLine, NewOrder
from harbor_orders_client.documents.responses import Note, Order, TimelineEntry
from harbor_orders_client.operations.requests import ORDERS, given, instant, listing, order_path, request
from harbor_orders_client.transport.session import Listing
from harbor_orders_client.transport.wire import Request


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
    """Add a note to an order, for everybody who sees it (`partner`) or for your own staff (`internal`)."""
    body = {"note": note, "visibility": visibility}
    return request("POST", order_path(order_id, "notes"), Order, body=body, idempotency_key=idempotency_key)


def set_order_status(
    order_id: str, status: str, *, reason: str | None = None, idempotency_key: str | None = None
) -> Request[Order]:
    """Do what leads to a status; the status that the order has already changes nothing."""
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
