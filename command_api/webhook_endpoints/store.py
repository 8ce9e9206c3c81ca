"""Webhook endpoints: configuration that partners write through the command service.

Secrets are made here, returned once by `create` and stored sealed. No row is ever removed: `delete` marks the endpoint
and erases its secret; the dispatcher discards what was queued for it.
"""

import base64
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import asyncpg

from infra import clock
from infra.postgres.pool import Pool
from infra.security.secrets_at_rest import SecretBox
from infra.tenancy import Tenant

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  # the public prefix of the Standard Webhooks specification
SECRET_BYTES: Final = 32
_BEFORE_ALL: Final = UUID(int=0)

# $1 tenant; a tenant creates one endpoint at a time, so that the bound holds
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('harbor.webhook_endpoints:' || $1, 0))"

# $1 tenant
_COUNT: Final = "SELECT count(*) FROM harbor.webhook_endpoints WHERE tenant_id = $1 AND status <> 'deleted'"

_COLUMNS: Final = """
    endpoint_id, url, description, event_types, payload, livemode, status, status_reason, registered_position,
    created_at
"""

# $1 id, $2 tenant, $3 livemode, $4 url, $5 description, $6 event types, $7 payload, $8 sealed secret
_INSERT: Final = f"""
INSERT INTO harbor.webhook_endpoints
    (endpoint_id, tenant_id, livemode, url, description, event_types, payload, sealed_secret, registered_position)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
    (SELECT coalesce(max(last_position), 0) FROM harbor.batches WHERE log_id = 0))
RETURNING {_COLUMNS}
"""

# $1 tenant, $2 those after this id, $3 at most this many
_LIST: Final = f"""
SELECT {_COLUMNS} FROM harbor.webhook_endpoints
WHERE tenant_id = $1 AND endpoint_id > $2 AND status <> 'deleted' ORDER BY endpoint_id LIMIT $3
"""

# $1 tenant, $2 id
_FIND: Final = f"""
SELECT {_COLUMNS} FROM harbor.webhook_endpoints WHERE tenant_id = $1 AND endpoint_id = $2 AND status <> 'deleted'
"""

# $1 tenant, $2 id
_DELETE: Final = """
UPDATE harbor.webhook_endpoints
SET status = 'deleted', status_reason = NULL, status_changed_at = now(), sealed_secret = NULL
WHERE tenant_id = $1 AND endpoint_id = $2 AND status <> 'deleted'
"""


class TooManyEndpointsError(Exception):
    """The tenant has as many endpoints as it may have; nothing was written."""


class ResendOutcome(StrEnum):
    """What became of a request to send a delivery again."""

    QUEUED = "queued"
    NOT_FOUND = "not_found"
    ENDPOINT_NOT_ENABLED = "endpoint_not_enabled"


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """What a partner asks for. `url` is canonical (`Target.url`) and passed the rules of the tenant's mode."""

    url: str
    description: str
    event_types: tuple[str, ...]
    payload: str


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """One endpoint as its owner sees it, without its secret."""

    endpoint_id: UUID
    url: str
    description: str
    event_types: tuple[str, ...]
    payload: str
    livemode: bool
    status: str
    status_reason: str | None
    registered_position: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CreatedEndpoint:
    """A new endpoint and its secret's text (`whsec_...`), which is never shown again."""

    endpoint: WebhookEndpoint
    secret: str = field(repr=False)


class WebhookEndpoints:
    """The endpoints of all tenants, through one pool of the command service's role."""

    def __init__(self, pool: Pool, box: SecretBox, *, max_per_tenant: int) -> None:
        self._pool = pool
        self._box = box
        self._max = max_per_tenant

    async def create(self, tenant: Tenant, new: NewEndpoint) -> CreatedEndpoint:
        """Register an endpoint; it receives the events that are committed after this returns.

        Raises:
            TooManyEndpointsError: the tenant has `max_per_tenant` endpoints already.
        """
        endpoint_id = clock.new_id()
        secret = secrets.token_bytes(SECRET_BYTES)
        sealed = self._box.seal(secret, str(endpoint_id))
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, tenant.id)
            if await connection.fetchval(_COUNT, tenant.id) >= self._max:
                raise TooManyEndpointsError
            asked = (new.url, new.description, list(new.event_types), new.payload)
            row = await connection.fetchrow(_INSERT, endpoint_id, tenant.id, tenant.livemode, *asked, sealed)
            if row is None:
                raise AssertionError("an INSERT without conflict clause returns its row")
        return CreatedEndpoint(_endpoint(row), SECRET_PREFIX + base64.b64encode(secret).decode())

    async def list_page(self, tenant: Tenant, *, after: UUID | None, rows: int) -> list[WebhookEndpoint]:
        """Return at most so many of the tenant's endpoints, oldest first: those after an id, or the first ones."""
        return [_endpoint(row) for row in await self._pool.fetch(_LIST, tenant.id, after or _BEFORE_ALL, rows)]

    async def find(self, tenant: Tenant, endpoint_id: UUID) -> WebhookEndpoint | None:
        """Return one of the tenant's endpoints; None when it has none with this id."""
        row = await self._pool.fetchrow(_FIND, tenant.id, endpoint_id)
        return None if row is None else _endpoint(row)

    async def delete(self, tenant: Tenant, endpoint_id: UUID) -> bool:
        """Delete an endpoint and erase its secret; return False when the tenant has none with this id."""
        return await self._pool.execute(_DELETE, tenant.id, endpoint_id) == "UPDATE 1"

    async def resend(self, tenant: Tenant, delivery_id: UUID) -> ResendOutcome:
        """Queue one delivery again, in whatever state it is; asking twice queues it once."""
        return ResendOutcome(await self._pool.fetchval("SELECT harbor.webhook_resend($1, $2)", tenant.id, delivery_id))


def _endpoint(row: asyncpg.Record) -> WebhookEndpoint:
    return WebhookEndpoint(**{**row, "event_types": tuple(row["event_types"])})
