"""Which events set or clear the timer of an order; pure. The exact rule stays with `domain.order.due`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import orjson

from domain.instants import parse_instant
from domain.order.events import OrderAuthorized, OrderCreated
from domain.order.status import Status
from infra.event_store.protocol import StoredEvent
from infra.observability.logs import get_logger
from infra.postgres.timers import StreamKey

_DUE_MEMBER: Final = {OrderCreated.type: "expires_at", OrderAuthorized.type: "auth_expires_at"}
_TIMELESS: Final = frozenset({Status.CAPTURED, Status.SETTLED, Status.CANCELED, Status.EXPIRED})


def timer_changes(events: Iterable[StoredEvent]) -> dict[StreamKey, datetime | None]:
    """Return what the timers of these orders are after `events`, in log order; None: nothing is due any more.

    An event that cannot be read changes no timer: the projections report it, and a wrong timer costs one
    look at an order that is not due.
    """
    changes: dict[StreamKey, datetime | None] = {}
    for event in events:
        try:
            data = orjson.loads(event.payload)["data"]
            member = _DUE_MEMBER.get(event.type)
            if member is not None:
                changes[event.tenant_id, event.stream_id] = parse_instant(data[member])
            elif data["to_status"] in _TIMELESS:
                changes[event.tenant_id, event.stream_id] = None
        except (ValueError, KeyError, TypeError):
            get_logger().warning("expiry.event_unreadable", position=event.position, type=event.type)
    return changes
