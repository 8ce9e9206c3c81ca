"""The delivery queue in PostgreSQL: what is due, lease it, record results. Only the database's clock counts.

Rows are leased until `next_attempt_at`: those of a dispatcher that dies become due again without cleaning up.
FOR UPDATE SKIP LOCKED keeps dispatchers from waiting for each other.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from infra.postgres.connection import Connection

# A plan cached while the queue was empty would always scan it: statements of this connection use the indexes.
INDEXES_ONLY = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"

# One index step per endpoint that has anything queued (a loose index scan), however long its queue is.
_ENDPOINTS_DUE = """
WITH RECURSIVE ready AS (
    (SELECT endpoint_id, next_attempt_at FROM harbor.webhook_deliveries
     WHERE state IN ('pending', 'leased') ORDER BY endpoint_id, next_attempt_at LIMIT 1)
    UNION ALL
    SELECT later.endpoint_id, later.next_attempt_at
    FROM ready CROSS JOIN LATERAL (
        SELECT d.endpoint_id, d.next_attempt_at FROM harbor.webhook_deliveries d
        WHERE d.state IN ('pending', 'leased') AND d.endpoint_id > ready.endpoint_id
        ORDER BY d.endpoint_id, d.next_attempt_at LIMIT 1) AS later
)
SELECT ready.endpoint_id, extract(epoch FROM ready.next_attempt_at - now())::float8 AS due_in_s,
    e.livemode, e.url, e.sealed_secret, e.status
FROM ready JOIN harbor.webhook_endpoints e USING (endpoint_id)
ORDER BY ready.next_attempt_at
"""

# $1 endpoints, $2 how many of each, $3 lease id, $4 lease in seconds
_LEASE = """
WITH due AS (
    SELECT picked.delivery_id
    FROM unnest($1::uuid[], $2::integer[]) AS share(endpoint_id, room)
    CROSS JOIN LATERAL (
        SELECT d.delivery_id FROM harbor.webhook_deliveries d
        WHERE d.endpoint_id = share.endpoint_id AND d.state IN ('pending', 'leased') AND d.next_attempt_at <= now()
        ORDER BY d.next_attempt_at, d.position LIMIT share.room FOR UPDATE SKIP LOCKED) AS picked
), leased AS (
    UPDATE harbor.webhook_deliveries d
    SET state = 'leased', lease_id = $3, next_attempt_at = now() + make_interval(secs => $4)
    FROM due WHERE d.delivery_id = due.delivery_id
    RETURNING d.*
)
SELECT delivery_id, endpoint_id, lease_id, event_id, tenant_id, order_id, event_type, sequence, traceparent,
    recorded_at, attempt_count, round_attempts, body
FROM leased JOIN harbor.webhook_bodies USING (event_id, payload)
"""

# One array per column. The update is fenced by the lease: a late result changes nothing, except that a 2xx always
# counts. Recording the same results again changes nothing.
_RECORD = """
WITH result AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::timestamptz[], $6::integer[],
        $7::text[], $8::smallint[], $9::bytea[], $10::text[], $11::float8[])
    AS r(attempt_id, delivery_id, lease_id, attempt, started_at, latency_ms, outcome, status, response_body, state,
        delay_s)
), attempts AS (
    INSERT INTO harbor.webhook_attempts
        (attempt_id, delivery_id, attempt, started_at, latency_ms, outcome, status, response_body)
    SELECT attempt_id, delivery_id, attempt, started_at, latency_ms, outcome, status, response_body FROM result
    ON CONFLICT (attempt_id) DO NOTHING
)
UPDATE harbor.webhook_deliveries d
SET state = result.state, lease_id = NULL, next_attempt_at = now() + make_interval(secs => result.delay_s),
    attempt_count = greatest(d.attempt_count, result.attempt), round_attempts = d.round_attempts + 1,
    last_outcome = result.outcome, last_status = result.status, last_attempt_at = result.started_at,
    first_attempt_at = coalesce(d.first_attempt_at, result.started_at)
FROM result
WHERE d.delivery_id = result.delivery_id
    AND (d.lease_id = result.lease_id OR (result.state = 'delivered' AND d.state IN ('pending', 'leased')))
"""

# $1 endpoint, $2 new status, $3 reason
_SUSPEND = """
UPDATE harbor.webhook_endpoints SET status = $2, status_reason = $3, status_changed_at = now()
WHERE endpoint_id = $1 AND status = 'enabled'
"""

# $1 endpoint
_DISCARD = """
UPDATE harbor.webhook_deliveries SET state = 'discarded', lease_id = NULL
WHERE delivery_id IN (
    SELECT delivery_id FROM harbor.webhook_deliveries
    WHERE endpoint_id = $1 AND state IN ('pending', 'leased')
    ORDER BY next_attempt_at LIMIT 1000 FOR UPDATE SKIP LOCKED)
"""

# The count is bounded: a metric must not cost more than the work it measures.
_DEPTH = """
SELECT (SELECT count(*) FROM (SELECT FROM harbor.webhook_deliveries
        WHERE state IN ('pending', 'leased') LIMIT 100000) AS queued) AS queued,
    (SELECT count(*) FROM (SELECT FROM harbor.webhook_deliveries WHERE state = 'dead' LIMIT 100000) AS dead) AS dead
"""


_NOTE_TURN = "UPDATE harbor.webhook_dispatch SET last_turn_at = clock_timestamp(), unreadable_secrets = $1"
_NEWEST_SECRETS = """
SELECT endpoint_id, sealed_secret FROM harbor.webhook_endpoints
WHERE sealed_secret IS NOT NULL AND status = 'enabled' ORDER BY endpoint_id DESC LIMIT 20
"""


class QueuedEndpoint(NamedTuple):
    """An endpoint with queued deliveries; `due_in_s` is negative when the oldest is overdue."""

    endpoint_id: UUID
    due_in_s: float
    livemode: bool
    url: str
    sealed_secret: bytes | None
    status: str


class LeasedDelivery(NamedTuple):
    """One leased delivery, with all that an attempt needs."""

    delivery_id: UUID
    endpoint_id: UUID
    lease_id: UUID
    event_id: UUID
    tenant_id: str
    order_id: UUID
    event_type: str
    sequence: int
    traceparent: str | None
    recorded_at: datetime
    attempt_count: int
    round_attempts: int
    """Attempts since the first send or the last resend."""
    body: bytes


class Result(NamedTuple):
    """One attempt and the new state of its delivery; `delay_s` counts from the record to the next attempt."""

    attempt_id: UUID
    delivery_id: UUID
    lease_id: UUID
    attempt: int
    started_at: datetime
    latency_ms: int
    outcome: str
    status: int | None
    response_body: bytes
    state: str
    delay_s: float


async def endpoints_due(connection: Connection) -> list[QueuedEndpoint]:
    """Return every endpoint with queued deliveries, the longest-waiting first."""
    return [QueuedEndpoint(*row) for row in await connection.fetch(_ENDPOINTS_DUE)]


async def lease(
    connection: Connection, shares: Mapping[UUID, int], lease_id: UUID, lease_s: float
) -> list[LeasedDelivery]:
    """Lease due deliveries, oldest first: at most `shares` of each endpoint."""
    rows = await connection.fetch(_LEASE, list(shares), list(shares.values()), lease_id, lease_s)
    return [LeasedDelivery(*row) for row in rows]


async def record(connection: Connection, results: Sequence[Result], suspend: Mapping[UUID, tuple[str, str]]) -> None:
    """Record a batch of results, and the endpoints they suspend (id -> status, reason), in one transaction.

    It is safe to repeat when the commit is unknown.
    """
    arrays = [list(column) for column in zip(*results, strict=True)]
    # One statement is a transaction by itself.
    async with connection.transaction() if suspend else nullcontext():
        await connection.execute(_RECORD, *arrays)
        for endpoint_id, (status, reason) in suspend.items():
            await connection.execute(_SUSPEND, endpoint_id, status, reason)


async def discard(connection: Connection, endpoint_id: UUID) -> None:
    """Discard what is queued for a deleted endpoint, some rows at once."""
    await connection.execute(_DISCARD, endpoint_id)


async def note_turn(connection: Connection, unreadable_secrets: int) -> None:
    """Note that a dispatcher works, and for how many endpoints it cannot; others see that, and when it was."""
    await connection.execute(_NOTE_TURN, unreadable_secrets)


async def newest_secrets(connection: Connection) -> list[tuple[UUID, bytes]]:
    """Return the sealed secrets of the newest endpoints, by endpoint."""
    return [(row["endpoint_id"], row["sealed_secret"]) for row in await connection.fetch(_NEWEST_SECRETS)]


async def depth(connection: Connection) -> tuple[int, int]:
    """Return how many deliveries are queued and how many are dead letters; both stop counting at 100,000."""
    [row] = await connection.fetch(_DEPTH)
    return row["queued"], row["dead"]
