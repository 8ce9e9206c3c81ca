"""The bytes of a webhook: rendered once, when an event fans out, then signed and sent unchanged.

Both kinds say what happened (`change`). `snapshot` also holds the order right after the event and the previous values
of its changed top-level members; `thin` names the order and its version, and holds nothing personal. A body over 64
KiB says so (`truncated`): a snapshot becomes thin, and a change that is too large by itself becomes null.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

from domain.change import former_values

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


def render_snapshot(head: EventHead, change: Mapping[str, object], after: bytes, before: bytes | None) -> bytes:
    """Return the snapshot body, or the thin one marked `truncated` if it exceeds 64 KiB.

    Args:
        head: the event.
        change: what it changed (`change_document`).
        after: the order document (`render_order`) as of the event.
        before: the order document before it; None for the first event.
    """
    previous = {} if before is None else former_values(before, after)
    body = _document(head, {"change": change, "object": orjson.Fragment(after), "previous": previous})
    return body if len(body) <= MAX_BODY_BYTES else render_thin(head, change, truncated=True)


def render_thin(head: EventHead, change: Mapping[str, object], *, truncated: bool = False) -> bytes:
    """Return the thin body: what changed, the order and its version. A change over 64 KiB is left out, and said so."""
    order = {"id": head.order_id, "object": "order", "version": head.sequence}
    body = _document(head, {"change": change, "object": order}, truncated=truncated)
    return body if len(body) <= MAX_BODY_BYTES else _document(head, {"change": None, "object": order}, truncated=True)


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
