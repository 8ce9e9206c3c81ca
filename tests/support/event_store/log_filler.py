"""Fill an event log with valid order events, fast: one history is recorded by the domain and copied under new ids.

The events go through the store's own append, in batches that interleave the orders: first a batch of creates, then the
same orders' next events, and so on.
"""

import secrets
from uuid import UUID

import asyncpg

from domain.codec import encode
from domain.order.envelope import RecordedOrderEvent
from infra.clock import new_id
from infra.event_store.append_batch import append_batch
from infra.event_store.protocol import AppendCommand, Appended, NewEvent
from infra.postgres.connection import Connection
from tests.support.orders.builders import recorded_history

TENANT = "acme.test"
BATCH_ORDERS = 100


async def fill_log(url: str, orders: int, *verbs: str, tenant_id: str = TENANT) -> list[UUID]:
    """Append `orders` orders, each created and driven by `verbs` (authorize, capture, cancel); give their ids.

    `url` is of a role that may append: the command service's login. Adds orders * (1 + len(verbs)) events.
    """
    connection = await asyncpg.connect(url)
    try:
        order_ids: list[UUID] = []
        while len(order_ids) < orders:
            count = min(BATCH_ORDERS, orders - len(order_ids))
            order_ids += await append_orders(connection, count, *verbs, tenant_id=tenant_id)
        return order_ids
    finally:
        await connection.close()


async def append_orders(connection: Connection, orders: int, *verbs: str, tenant_id: str = TENANT) -> list[UUID]:
    """Append some orders, all creates in one batch, then all next events in one, and so on; give the orders' ids."""
    partner_id, _, mode = tenant_id.rpartition(".")
    order_ids = [new_id() for _ in range(orders)]
    for recorded in recorded_history(*verbs, partner_id=partner_id, livemode=mode == "live"):
        commands = [_command(recorded, tenant_id, order_id) for order_id in order_ids]
        refused = [each for each in await append_batch(connection, commands) if not isinstance(each, Appended)]
        if refused:
            raise AssertionError(f"the store refused {len(refused)} commands: {refused[0]}")
    return order_ids


def _command(recorded: RecordedOrderEvent, tenant_id: str, order_id: UUID) -> AppendCommand:
    """Return what appends the same event as if it had happened to another order."""
    envelope, event_id = recorded.envelope, new_id()
    payload = encode(recorded.event, envelope)
    payload = payload.replace(str(envelope.order_id).encode(), str(order_id).encode())
    payload = payload.replace(str(envelope.event_id).encode(), str(event_id).encode())
    return AppendCommand(
        tenant_id=tenant_id,
        key=str(event_id),
        fingerprint=secrets.token_bytes(32),
        stream_id=order_id,
        stream_type="order",
        expected_version=envelope.sequence - 1,
        events=(
            NewEvent(
                event_id=event_id,
                type=recorded.event.type,
                schema_version=recorded.event.schema_version,
                occurred_at=envelope.occurred_at,
                payload=payload,
                actor="api_key:k3y00001",
            ),
        ),
        status=200,
        response=b"{}",
    )
