"""Verifies webhooks: Standard Webhooks 1.0.0, HMAC-SHA256 over `id.timestamp.body`.

    event = webhooks.verify(body, headers, secret)

Verify the bytes as they arrived, before anything parses them; respond with 2xx at once; ignore an `id` seen before.
`event.change` says what happened, as one of the classes below; match on it.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from harbor_orders_client.documents import exact
from harbor_orders_client.documents.reading import read
from harbor_orders_client.documents.responses import Order
from harbor_orders_client.documents.webhook_changes import (
    CHANGES,
    AmendedChange,
    AuthorizedChange,
    CanceledChange,
    CapturedChange,
    Change,
    CreatedChange,
    DetailsChange,
    ExpiredChange,
    NoteChange,
    RefundedChange,
    ReleasedChange,
    SettledChange,
    SettlementChange,
)
from harbor_orders_client.errors import UnexpectedResponse, WebhookNotVerified

__all__ = [
    "API_VERSION",
    "TOLERANCE_S",
    "AmendedChange",
    "AuthorizedChange",
    "CanceledChange",
    "CapturedChange",
    "Change",
    "CreatedChange",
    "DetailsChange",
    "ExpiredChange",
    "NoteChange",
    "RefundedChange",
    "ReleasedChange",
    "SettledChange",
    "SettlementChange",
    "WebhookEvent",
    "verify",
]

API_VERSION: Final = "v1"
TOLERANCE_S: Final = 300
_PREFIX: Final = "whsec_"
_VERSION: Final = "v1,"
_LEAST_KEY_BYTES: Final = 24
_SECONDS: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified webhook. `id` is the same on every attempt; `sequence` orders the events of one order.

    A type or an `api_version` that this client does not know verifies too: `change` and `order` are None then, and
    `data` holds what came. Respond with 2xx and ignore it, or it is sent again for three days.
    """

    id: str
    type: str
    timestamp: datetime
    api_version: str
    livemode: bool
    data: Mapping[str, Any]
    sequence: int | None = None
    order_id: str | None = None
    request_id: str | None = None
    truncated: bool = False

    @property
    def change(self) -> Change | None:
        """Return what happened; None where the body does not say it, or in words of a later version."""
        kind, document = CHANGES.get(self.type), self.data.get("change")
        is_known = self.api_version == API_VERSION and document is not None
        return read(kind, document) if kind is not None and is_known else None

    @property
    def order(self) -> Order | None:
        """Return the order as of the event; None where the body is thin: by choice, or the order was too large."""
        document = self.data.get("object")
        is_order = isinstance(document, dict) and document.get("object") == "order" and "status" in document
        return read(Order, document) if is_order and self.api_version == API_VERSION else None


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance_s: int = TOLERANCE_S,
    now_s: float | None = None,
) -> WebhookEvent:
    """Return the event of a webhook that is signed with the secret and fresh.

    Args:
        body: the exact bytes received.
        headers: of the request, in any case.
        secret: `whsec_...` as shown when the endpoint was made; several while one replaces another.
        tolerance_s: how far the attempt's time may be from now, in seconds.
        now_s: seconds since 1970; the machine's clock when None.

    Raises:
        WebhookNotVerified: anything else; the text never holds a secret or what was sent.
        TypeError: the body is not bytes.
        ValueError: a secret is malformed, or there is none.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(f"the body is the bytes as they arrived, not {type(body).__name__}")
    keys = _keys(secret)
    named = {name.lower(): value for name, value in headers.items()}
    webhook_id, timestamp, signatures = (
        named.get(name, "") for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    )
    if not (webhook_id and _SECONDS.fullmatch(timestamp)):
        raise WebhookNotVerified("webhook-id or webhook-timestamp is missing or malformed")
    signed = b".".join([_bytes(webhook_id), timestamp.encode(), body])
    given = [_bytes(each.removeprefix(_VERSION)) for each in signatures.split() if each.startswith(_VERSION)]
    if not any([_is_signed(signed, key, each) for key in keys for each in given]):  # noqa: C419  # all, in the same time
        raise WebhookNotVerified("no signature of this body by this secret")
    if abs((time.time() if now_s is None else now_s) - int(timestamp)) > tolerance_s:
        raise WebhookNotVerified("signed too long ago, or in the future")
    try:
        return read(WebhookEvent, exact.parse(body))
    except (ValueError, UnexpectedResponse):
        raise WebhookNotVerified("signed, but not an event") from None


def _bytes(header: str) -> bytes:
    """Return a header's value as bytes, other values as other bytes; a server may have decoded what is not UTF-8."""
    return header.encode(errors="surrogatepass")


def _is_signed(signed: bytes, key: bytes, given: bytes) -> bool:
    return hmac.compare_digest(base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()), given)


def _keys(secret: object) -> list[bytes]:
    several = secret if isinstance(secret, Sequence) and not isinstance(secret, str | bytes) else [secret]
    keys = [_key(each) for each in several]
    if not keys or min(map(len, keys)) < _LEAST_KEY_BYTES:
        raise ValueError("a webhook secret is a str: whsec_ and base64 of 24 bytes or more")
    return keys


def _key(secret: object) -> bytes:
    """Return the key of a secret; empty where there is none."""
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True) if isinstance(secret, str) else b""
    except ValueError:
        return b""
