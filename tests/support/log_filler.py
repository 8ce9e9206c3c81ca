"""Fill an event log with valid order events, fast: one history is recorded by the domain and copied under new ids.

The events go through the store's own append function, in batches that interleave the orders: first a batch of creates,
then the same orders' next events, and so on.
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from domain.codec import encode
from domain.order.envelope import RecordedOrderEvent
from infra.clock import new_id, now
from infra.events import NewEvent, leaf_hash
from tests.support.orders import recorded_history

TENANT = "acme.test"
BATCH_ORDERS = 100
_APPEND = "SELECT outcome FROM harbor.append(0::smallint, $1::harbor.new_command[])"


class _EventRow(NamedTuple):
    """`harbor.new_event`."""

    event_id: UUID
    type: str
    schema_version: int
    occurred_at: object
    actor: str
    correlation_id: str | None
    causation_id: str | None
    traceparent: str | None
    leaf_hash: bytes
    payload: bytes


async def fill_log(url: str, orders: int, *verbs: str, tenant_id: str = TENANT) -> list[UUID]:
    """Append `orders` orders, each created and driven by `verbs` (authorize, capture, cancel); give their ids.

    `url` is of a role that may append: the command service's login. Adds orders * (1 + len(verbs)) events.
    """
    connection = await asyncpg.connect(url)
    try:
        return [
            order_id
            for start in range(0, orders, BATCH_ORDERS)
            for order_id in await append_orders(
                connection, min(BATCH_ORDERS, orders - start), *verbs, tenant_id=tenant_id
            )
        ]
    finally:
        await connection.close()


async def append_orders(
    connection: "asyncpg.Connection[asyncpg.Record]", orders: int, *verbs: str, tenant_id: str = TENANT
) -> list[UUID]:
    """Append some orders, all creates in one batch, then all next events in one, and so on; give the orders' ids."""
    partner_id, _, mode = tenant_id.rpartition(".")
    history = recorded_history(*verbs, partner_id=partner_id, livemode=mode == "live")
    order_ids = [new_id() for _ in range(orders)]
    for recorded in history:
        await _append(connection, tenant_id, [_copy(recorded, tenant_id, order_id) for order_id in order_ids])
    return order_ids


def _copy(recorded: RecordedOrderEvent, tenant_id: str, order_id: UUID) -> tuple[UUID, int, _EventRow]:
    """Give the same event as if it had happened to another order."""
    envelope, event_id = recorded.envelope, new_id()
    payload = encode(recorded.event, envelope)
    payload = payload.replace(str(envelope.order_id).encode(), str(order_id).encode())
    payload = payload.replace(str(envelope.event_id).encode(), str(event_id).encode())
    event = NewEvent(
        event_id=event_id,
        type=recorded.event.type,
        schema_version=recorded.event.schema_version,
        occurred_at=envelope.occurred_at,
        payload=payload,
        actor="api_key:k3y00001",
    )
    row = _EventRow(
        event.event_id,
        event.type,
        event.schema_version,
        event.occurred_at,
        event.actor,
        event.correlation_id,
        event.causation_id,
        event.traceparent,
        leaf_hash(tenant_id, order_id, envelope.sequence, event),
        event.payload,
    )
    return order_id, envelope.sequence, row


async def _append(
    connection: "asyncpg.Connection[asyncpg.Record]",
    tenant_id: str,
    events: Sequence[tuple[UUID, int, _EventRow]],
) -> None:
    commands = [
        (
            tenant_id,
            str(event.event_id),
            secrets.token_bytes(32),
            order_id,
            "order",
            sequence - 1,
            200,
            b"{}",
            None,
            [event],
        )
        for order_id, sequence, event in events
    ]
    outcomes = await connection.fetch(_APPEND, commands)
    refused = [row["outcome"] for row in outcomes if row["outcome"] != "appended"]
    if refused:
        raise AssertionError(f"the store refused {len(refused)} commands: {refused[0]} ({now()})")
