"""The parts that all operations are made of: a request, a list over pages, a path.

To add an operation, write its function in the module of its resource and name it in `clients.py`.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypedDict, TypeVar

from harbor_orders_client.documents.new_orders import checked_key, encode, new_key
from harbor_orders_client.transport.session import Listing, Page, reads, reads_page
from harbor_orders_client.transport.wire import Repeat, Request, Service

T = TypeVar("T")
API: Final = "/api/v1"
ORDERS: Final = f"{API}/orders"
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_KEYED: Final = re.compile(rf"{ORDERS}(?:/|$)|{API}/api-keys(?:/[^/]+/rotate)?$")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_READING: Final = frozenset({"GET", "HEAD"})


class RequestOptions(TypedDict, total=False):
    """The optional arguments of `request`, for the clients to pass on."""

    body: Mapping[str, Any] | None
    query: Mapping[str, str] | None
    idempotency_key: str | None
    if_match: int | None
    service: Service | None


def request(
    method: str,
    path: str,
    read_as: type[T],
    *,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    if_match: int | None = None,
    service: Service | None = None,
    repeat: Repeat | None = None,
) -> Request[T]:
    """Return any request of the API.

    Args:
        method: of HTTP.
        path: from `/api/v1` on.
        read_as: what the response is read as: one of this package's dataclasses, or `dict` for the document as it is.
        body: the JSON object to send.
        query: parameters of the address.
        idempotency_key: by default a new one for a change of an order and for a new API key. Other changes have none
            by default, and are not repeated when their outcome is unknown.
        if_match: the version that the order must have.
        service: which service responds; None: the query service if it reads, else the command service.
        repeat: whether it may be sent again when its outcome is unknown; None: if it reads or has a key.

    Raises:
        ValueError: the method, the path, the key or the version cannot be one; nothing was sent.
    """
    if not (method.isascii() and method.isalpha() and path.startswith("/")):
        raise ValueError(f"a request has a method such as POST, and a path from {API} on: {method!r} {path!r}")
    if if_match is not None and not _VERSION.fullmatch(str(if_match)):
        raise ValueError(f"if_match is the version of an order, such as order.version: {if_match!r}")
    is_read = method in _READING
    if idempotency_key is not None:
        checked_key(idempotency_key)
    elif not is_read and _KEYED.match(path):
        idempotency_key = new_key()
    return Request(
        method,
        path,
        reads(read_as),
        service or (Service.QUERY if is_read else Service.COMMAND),
        content=b"" if body is None else encode(body),
        query=query or {},
        headers={} if if_match is None else {"if-match": f'"{if_match}"'},
        idempotency_key=idempotency_key,
        repeat=repeat or (Repeat.ALWAYS if is_read or idempotency_key is not None else Repeat.UNLESS_IN_DOUBT),
        is_read=is_read,
    )


def given(**values: object) -> dict[str, Any]:
    """Return the members that have a value."""
    return {name: value for name, value in values.items() if value is not None}


def order_path(order_id: str, *verb: str) -> str:
    """Return the path of an order, or of what is done to it.

    Raises:
        ValueError: it is not an id; what a path means must not depend on what an id holds.
    """
    return item_path(ORDERS, order_id, *verb)


def item_path(collection: str, identifier: object, *verb: str) -> str:
    """Return the path of one thing of a collection, or of what is done to it. Raises `ValueError`: it is not an id."""
    if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
        raise ValueError(f"{identifier!r} is not an id such as the text order.id")
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
    """Return an instant as it is sent.

    Raises:
        TypeError: it is no datetime.
        ValueError: it has no offset, so it is another instant on every machine.
    """
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise TypeError(f"an instant is a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise ValueError(f"an instant has an offset, as datetime.now(UTC) does; this one has no offset: {value}")
    return value.isoformat()
