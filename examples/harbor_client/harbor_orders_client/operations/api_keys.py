"""The operations on API keys, as requests: for a key with the scope `keys:manage`."""

from collections.abc import Sequence
from datetime import datetime

from harbor_orders_client.documents.responses import ApiKey, ApiKeyEvent, NewApiKey, RotatedApiKey
from harbor_orders_client.operations.requests import API, given, instant, item_path, listing, request
from harbor_orders_client.transport.session import Listing
from harbor_orders_client.transport.wire import Repeat, Request, Service

KEYS = f"{API}/api-keys"


def create_api_key(
    scopes: Sequence[str],
    *,
    label: str | None = None,
    expires_at: datetime | None = None,
    partner_id: str | None = None,
    idempotency_key: str | None = None,
) -> Request[NewApiKey]:
    """Create a key that may do no more than the one that asks. Keep the `key` of the response: it is shown only once.

    When a response was lost and the request is sent again, it makes no second key and raises `Conflict`
    (`api_key_already_created`): revoke the key that `error.key_id` names, and create another.
    `partner_id` is for installation keys only.
    """
    body = given(scopes=[*scopes], label=label, expires_at=instant(expires_at), partner_id=partner_id)
    return request("POST", KEYS, NewApiKey, body=body, idempotency_key=idempotency_key)


def list_api_keys(*, partner_id: str | None = None, page_size: int = 50) -> Listing[ApiKey]:
    """Return the keys of the same mode, newest first, over as many pages as there are."""
    return listing(KEYS, ApiKey, page_size, {"partner_id": partner_id}, Service.COMMAND)


def get_api_key(key_id: str) -> Request[ApiKey]:
    """Get a key, without what opens it."""
    return request("GET", item_path(KEYS, key_id), ApiKey, service=Service.COMMAND)


def rotate_api_key(
    key_id: str, *, overlap_s: int | None = None, idempotency_key: str | None = None
) -> Request[RotatedApiKey]:
    """Create the successor of a key, which works for `overlap_s` seconds more (an hour unless given).

    A key that rotates itself needs an overlap of at least 60 s, to ask again when the response was lost.
    Keep the `key` of the response; for one that was lost see `create_api_key`.
    """
    path = item_path(KEYS, key_id, "rotate")
    return request("POST", path, RotatedApiKey, body=given(overlap_s=overlap_s), idempotency_key=idempotency_key)


def revoke_api_key(key_id: str) -> Request[ApiKey]:
    """Revoke a key: refused everywhere within 5 seconds. Revoking it twice does no harm."""
    return request("POST", item_path(KEYS, key_id, "revoke"), ApiKey, repeat=Repeat.ALWAYS)


def list_api_key_events(key_id: str, *, page_size: int = 50) -> Listing[ApiKeyEvent]:
    """Return who created, rotated and revoked a key, and when; oldest first."""
    return listing(item_path(KEYS, key_id, "events"), ApiKeyEvent, page_size, {}, Service.COMMAND)
