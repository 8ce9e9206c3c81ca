"""Read model `order_timeline`: one row per event of an order: who, when, what changed, from which status to which.

Rows come from the event document without a fold: a timeline must also show an event whose order cannot be folded.
Personal data is left out.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from domain.change import facts_of
from infra.postgres.connection import Connection
from infra.tenancy import Tenant
from projections.projection import LogRecord, ProjectionError
from projections.read_models.columns import insert_rows
from projections.tables import ORDER_TIMELINE_VERSION, order_timeline

NAME = "order_timeline"

# A repeated event (a retry of parked ones) finds its row and leaves it.
_INSERT = f"""
{insert_rows(order_timeline)}
ON CONFLICT (order_id, sequence) DO NOTHING
"""

_OWN_COLUMNS = frozenset({"from_status", "to_status"})


class TimelineRow(NamedTuple):
    """One row of the read model, columns in the order of the table; `actor` and `changes` are JSON text."""

    order_id: UUID
    sequence: int
    position: int
    event_id: UUID
    partner_id: str
    livemode: bool
    type: str
    occurred_at: datetime
    recorded_at: datetime
    actor: str
    from_status: str | None
    to_status: str
    reason: str | None
    changes: str
    request_id: str | None
    traceparent: str | None


class OrderTimelineProjection:
    """Keeps `order_timeline` current."""

    name = NAME
    version = ORDER_TIMELINE_VERSION

    async def apply(self, connection: Connection, records: Sequence[LogRecord]) -> None:
        """Add one row per record, in one statement; a row that exists stays.

        Raises:
            ProjectionError: a record's payload is not an event document.
        """
        if records:
            await connection.execute(_INSERT, [row_of(record) for record in records])


def row_of(record: LogRecord) -> TimelineRow:
    """Return the row of one event; pure.

    Raises:
        ProjectionError: the payload is not an event document.
    """
    try:
        document: dict[str, Any] = orjson.loads(record.payload)
        data: dict[str, Any] = document["data"]
        tenant = Tenant.parse(record.tenant_id)
        return TimelineRow(
            order_id=record.order_id,
            sequence=record.sequence,
            position=record.position,
            event_id=record.event_id,
            partner_id=tenant.partner_id,
            livemode=tenant.livemode,
            type=record.type,
            occurred_at=datetime.fromisoformat(document["occurred_at"]),
            recorded_at=record.recorded_at,
            actor=orjson.dumps(document["actor"]).decode(),
            from_status=data["from_status"],
            to_status=data["to_status"],
            reason=data.get("reason"),
            changes=orjson.dumps(
                {name: fact for name, fact in facts_of(data).items() if name not in _OWN_COLUMNS}
            ).decode(),
            request_id=document["request_id"],
            traceparent=document["traceparent"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProjectionError(f"the payload is not an event document ({type(error).__name__})") from None
