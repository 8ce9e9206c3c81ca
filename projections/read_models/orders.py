"""Read model `orders`: each order as it is now, with columns to filter by and the document that is served.

The row keeps the folded state beside the document, so that a batch costs one SELECT, a fold in memory and one upsert,
however many events it has (decision 0071). The domain's `evolve` folds, so command side and read model cannot disagree.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.codec import decode
from domain.order.cached_state import dump_state, load_state
from domain.order.document import render_order
from domain.order.envelope import RecordedOrderEvent
from domain.order.errors import StaleStateError
from domain.order.state import OrderState, evolve
from infra.event_store.log_reads import read_streams
from infra.postgres.connection import Connection
from infra.tenancy import Tenant
from projections.projection import LogRecord, ProjectionError, SequenceGapError
from projections.read_models.columns import insert_rows
from projections.tables import ORDERS_VERSION, orders

NAME = "orders"
COLUMNS = tuple(column.name for column in orders.columns)

_SELECT = f"SELECT order_id, version, state FROM {orders.fullname} WHERE order_id = ANY($1::uuid[])"
# Only what an event can change is updated: partner, mode, partition and creation stay.
_UPSERT = f"""
{insert_rows(orders)}
ON CONFLICT (order_id) DO UPDATE SET
    version = excluded.version, position = excluded.position, status = excluded.status, currency = excluded.currency,
    total_minor = excluded.total_minor, external_reference = excluded.external_reference,
    updated_at = excluded.updated_at, document = excluded.document, state = excluded.state
"""


class OrderRow(NamedTuple):
    """One row of the read model, columns in the order of the table."""

    order_id: UUID
    partner_id: str
    livemode: bool
    version: int
    position: int
    partition: int
    status: str
    currency: str
    total_minor: int
    external_reference: str | None
    created_at: datetime
    updated_at: datetime
    document: bytes
    state: bytes


class OrdersProjection:
    """Keeps `orders` current."""

    name = NAME
    version = ORDERS_VERSION

    async def apply(self, connection: Connection, records: Sequence[LogRecord]) -> None:
        """Fold the records into the rows of their orders: one SELECT, one upsert.

        A record that the row already contains changes nothing.

        Raises:
            SequenceGapError: a record does not continue its row.
            CodecError: a record is not an event that this code knows.
            UnexpectedEventError: a record contradicts its order.
        """
        states = await _states(connection, {record.order_id for record in records})
        changed = fold(states, records)
        if changed:
            await connection.execute(_UPSERT, [row_of(state, record) for state, record in changed.values()])


async def _states(connection: Connection, order_ids: set[UUID]) -> dict[UUID, OrderState]:
    """Return the orders that exist. A state that other code cached is folded again from its stream."""
    states: dict[UUID, OrderState] = {}
    stale: dict[UUID, int] = {}
    for row in await connection.fetch(_SELECT, list(order_ids)):
        try:
            states[row["order_id"]] = load_state(row["state"])
        except StaleStateError:
            stale[row["order_id"]] = row["version"]
    if stale:
        for order_id, events in (await read_streams(connection, list(stale))).items():
            fold(states, (LogRecord.of(event, 0) for event in events if event.version <= stale[order_id]))
    return states


def fold(states: dict[UUID, OrderState], records: Iterable[LogRecord]) -> dict[UUID, tuple[OrderState, LogRecord]]:
    """Return each order that the records changed, with the last record applied to it.

    `states` holds the orders that exist before; it is updated.

    Raises:
        SequenceGapError, CodecError, UnexpectedEventError: as `OrdersProjection.apply`.
    """
    changed: dict[UUID, tuple[OrderState, LogRecord]] = {}
    for record in records:
        before = states.get(record.order_id)
        version = 0 if before is None else before.version
        if record.sequence <= version:
            continue
        if record.sequence != version + 1:
            raise SequenceGapError(record.order_id, version + 1, record.sequence)
        after = evolve(before, event_of(record))
        states[record.order_id] = after
        changed[record.order_id] = (after, record)
    return changed


def event_of(record: LogRecord) -> RecordedOrderEvent:
    """Decode a record and check it against its envelope.

    Raises:
        CodecError: it is not an event that this code knows.
        ProjectionError: the document belongs to another order, place or tenant than the record.
    """
    recorded = decode(record.type, record.schema_version, record.payload)
    envelope = recorded.envelope
    if (envelope.order_id, envelope.sequence, envelope.event_id) != (record.order_id, record.sequence, record.event_id):
        raise ProjectionError("the event document contradicts its record")
    if Tenant(envelope.partner_id, envelope.livemode).id != record.tenant_id:
        raise ProjectionError("the event document names another tenant than its record")
    return recorded


def row_of(state: OrderState, last: LogRecord) -> OrderRow:
    """Return the row of an order whose last applied record is `last`; pure."""
    return OrderRow(
        order_id=state.order_id,
        partner_id=state.partner_id,
        livemode=state.livemode,
        version=state.version,
        position=last.position,
        partition=last.partition,
        status=state.status.value,
        currency=state.currency.code,
        total_minor=state.ledger.total_minor,
        external_reference=state.external_reference,
        created_at=state.created_at,
        updated_at=state.updated_at,
        document=render_order(state),
        state=dump_state(state),
    )
