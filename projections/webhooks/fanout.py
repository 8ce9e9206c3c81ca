"""Webhook fan-out: the projection whose read model is the delivery queue.

For every event there is one delivery per endpoint of its tenant that was registered before it and wants its type. The
body is rendered here, once (decision 0081). Repeating a batch changes nothing: deliveries are unique per
(endpoint, event), bodies per (event, kind). Deliveries to disabled endpoints are still queued, those to deleted ones
are not.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from domain.change import change_document
from domain.codec import decode
from domain.order.document import render_order
from domain.order.state import OrderState, evolve
from infra import clock
from infra.postgres.connection import Connection
from infra.webhook_filters import matches
from projections.projection import LogRecord
from projections.webhooks.body import EventHead, PayloadKind, render_snapshot, render_thin

# $1 tenants
_ENDPOINTS = """
SELECT endpoint_id, tenant_id, event_types, payload, registered_position
FROM harbor.webhook_endpoints
WHERE tenant_id = ANY($1::text[]) AND status <> 'deleted'
"""

# $1 tenants, $2 order ids, $3 up to which version each
_ORDER_EVENTS = """
SELECT stream_id, version, type, schema_version, payload FROM harbor.webhook_order_events($1, $2, $3)
"""

# $1 event ids, $2 kinds, $3 bodies
_INSERT_BODIES = """
INSERT INTO harbor.webhook_bodies (event_id, payload, body)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[])
ON CONFLICT (event_id, payload) DO NOTHING
"""

# one array per column
_INSERT_DELIVERIES = """
INSERT INTO harbor.webhook_deliveries (delivery_id, endpoint_id, event_id, tenant_id, order_id, event_type, sequence,
    position, payload, traceparent, recorded_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::integer[],
    $8::bigint[], $9::text[], $10::text[], $11::timestamptz[])
ON CONFLICT (endpoint_id, event_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What fan-out needs of an endpoint."""

    endpoint_id: UUID
    tenant_id: str
    event_types: tuple[str, ...]
    payload: PayloadKind
    registered_position: int

    def wants(self, record: LogRecord) -> bool:
        """Return whether an event goes to this endpoint."""
        return (
            record.tenant_id == self.tenant_id
            and record.position > self.registered_position
            and matches(self.event_types, record.type)
        )


class WebhookFanout:
    """Writes delivery rows; satisfies `projections.projection.Projection`."""

    name = "webhook_fanout"
    version = 1

    async def apply(self, connection: Connection, records: Sequence[LogRecord]) -> None:
        """Queue the deliveries of a batch in the caller's transaction, and wake the dispatchers if there are any.

        Raises:
            domain.codec.UnknownEventError: an event, or an earlier one of its order, has no known schema.
        """
        subscriptions = await _read_subscriptions(connection, {record.tenant_id for record in records})
        wanted = [(record, sub) for record in records for sub in subscriptions if sub.wants(record)]
        if not wanted:
            return
        snapshots = {record.event_id: record for record, sub in wanted if sub.payload is PayloadKind.SNAPSHOT}
        documents = await _read_documents(connection, snapshots.values())
        events = {record.event_id: record for record, _ in wanted}
        heads = {event_id: orjson.loads(record.payload) for event_id, record in events.items()}
        changes = {event_id: _change(record) for event_id, record in events.items()}
        bodies = {
            (event_id, kind): _render(events[event_id], heads[event_id], changes[event_id], kind, documents)
            for event_id, kind in dict.fromkeys((record.event_id, sub.payload) for record, sub in wanted)
        }
        await connection.execute(
            _INSERT_BODIES, [event_id for event_id, _ in bodies], [kind for _, kind in bodies], list(bodies.values())
        )
        await connection.execute(_INSERT_DELIVERIES, *_columns(wanted, heads))
        await connection.execute("NOTIFY harbor_deliveries")


async def _read_subscriptions(connection: Connection, tenants: set[str]) -> list[Subscription]:
    rows = await connection.fetch(_ENDPOINTS, sorted(tenants))
    return [
        Subscription(endpoint_id, tenant_id, tuple(event_types), PayloadKind(payload), registered_position)
        for endpoint_id, tenant_id, event_types, payload, registered_position in rows
    ]


_Documents = dict[tuple[UUID, int], bytes]
"""Order documents by (order id, version)."""


async def _read_documents(connection: Connection, records: Iterable[LogRecord]) -> _Documents:
    """Fold the orders of these events and return each order's document after every version needed."""
    upto: dict[tuple[str, UUID], int] = {}
    for record in records:
        key = (record.tenant_id, record.order_id)
        upto[key] = max(upto.get(key, 0), record.sequence)
    if not upto:
        return {}
    tenants, orders = [tenant for tenant, _ in upto], [order for _, order in upto]
    rows = await connection.fetch(_ORDER_EVENTS, tenants, orders, list(upto.values()))
    documents: _Documents = {}
    states: dict[UUID, OrderState] = {}
    for row in rows:
        order_id: UUID = row["stream_id"]
        state = evolve(states.get(order_id), decode(row["type"], row["schema_version"], row["payload"]))
        states[order_id] = state
        documents[order_id, row["version"]] = render_order(state)
    return documents


def _change(record: LogRecord) -> dict[str, object]:
    return change_document(decode(record.type, record.schema_version, record.payload).event)


def _render(
    record: LogRecord,
    event: dict[str, object],
    change: dict[str, object],
    kind: PayloadKind,
    documents: _Documents,
) -> bytes:
    request_id = event["request_id"]
    head = EventHead(
        event_id=str(record.event_id),
        type=record.type,
        timestamp=str(event["occurred_at"]),
        livemode=event["livemode"] is True,
        sequence=record.sequence,
        order_id=str(record.order_id),
        request_id=None if request_id is None else str(request_id),
    )
    if kind is PayloadKind.THIN:
        return render_thin(head, change)
    after = documents[record.order_id, record.sequence]
    return render_snapshot(head, change, after, documents.get((record.order_id, record.sequence - 1)))


def _columns(
    wanted: Sequence[tuple[LogRecord, Subscription]], heads: dict[UUID, dict[str, object]]
) -> Iterator[list[object]]:
    rows = [
        (
            clock.new_id(),
            sub.endpoint_id,
            record.event_id,
            record.tenant_id,
            record.order_id,
            record.type,
            record.sequence,
            record.position,
            sub.payload,
            heads[record.event_id]["traceparent"],
            record.recorded_at,
        )
        for record, sub in wanted
    ]
    return (list(column) for column in zip(*rows, strict=True))
