"""The bytes of a webhook: rendered once, when an event fans out, then signed and sent unchanged.

`snapshot` holds the order right after the event and the previous values of its changed top-level fields; `thin` names
the order and its version, for receivers that read the rest from the API. A snapshot over 64 KiB becomes thin
and says so (`truncated`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

MAX_BODY_BYTES: Final = 65_536
API_VERSION: Final = "v1"


class PayloadKind(StrEnum):
    """What an endpoint asked to be sent."""

    SNAPSHOT = "snapshot"
    THIN = "thin"


@dataclass(frozen=True, slots=True)
class EventHead:
    """What every body says about its event; `timestamp` is the text of the event's `occurred_at`."""

    event_id: str
    type: str
    timestamp: str
    livemode: bool
    sequence: int
    order_id: str
    request_id: str | None


def render_snapshot(head: EventHead, after: bytes, before: bytes | None) -> bytes:
    """Return the snapshot body, or the thin one marked `truncated` if it exceeds 64 KiB.

    Args:
        head: the event.
        after: the order document (`render_order`) as of the event.
        before: the order document before it; None for the first event.
    """
    previous = {} if before is None else _changed(before, after)
    body = _document(head, {"object": orjson.Fragment(after), "previous": previous})
    return body if len(body) <= MAX_BODY_BYTES else render_thin(head, truncated=True)


def render_thin(head: EventHead, *, truncated: bool = False) -> bytes:
    """Return the thin body: the order and its version."""
    data = {"object": {"id": head.order_id, "object": "order", "version": head.sequence}}
    return _document(head, data, truncated=truncated)


def _changed(before: bytes, after: bytes) -> dict[str, object]:
    old, new = orjson.loads(before), orjson.loads(after)
    return {field: value for field, value in old.items() if new.get(field) != value}


def _document(head: EventHead, data: Mapping[str, object], *, truncated: bool = False) -> bytes:
    document = {
        "id": head.event_id,
        "type": head.type,
        "timestamp": head.timestamp,
        "api_version": API_VERSION,
        "livemode": head.livemode,
        "sequence": head.sequence,
        "order_id": head.order_id,
        "data": data,
        "request_id": head.request_id,
    }
    if truncated:
        document["truncated"] = True
    return orjson.dumps(document)
