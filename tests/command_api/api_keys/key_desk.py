"""The API key routes of a command service over PostgreSQL, called with any key."""

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from infra.security.api_keys import PARTNER_SCOPES
from tests.support.services.command_service import Service, id_of, partner_key, postgres_service
from tests.support.services.servers import Database
from tests.support.waiting import eventually

KEYS: Final = "/api/v1/api-keys"
_LISTENS: Final = """
    SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'harbor-command-keys'
        AND state = 'idle' AND query = 'SELECT 1'
"""


@dataclass(frozen=True, slots=True)
class KeyDesk:
    """A running service, and the database in which `key` makes keys as an operator at a console would."""

    service: Service
    database: Database

    async def key(
        self,
        partner_id: str | None,
        scopes: Iterable[str] | None = None,
        *,
        livemode: bool = False,
        expires_at: datetime | None = None,
    ) -> str:
        """Make a key (without `scopes`: with all that manage keys of its kind) and return its text."""
        usual = PARTNER_SCOPES if partner_id else {"keys:manage", "events:read"}
        return await partner_key(self.database, partner_id, scopes or usual, livemode=livemode, expires_at=expires_at)

    async def revoke_unheard(self, key: str) -> None:
        """Revoke a key that the service has just cached, without notifying it."""
        await eventually(self._listens)  # when it begins to, it forgets all keys
        assert (await self.get(key, KEYS)).status_code == 200
        await self.database.fetch("UPDATE harbor.api_keys SET revoked_at = now() WHERE key_id = $1", id_of(key))

    async def _listens(self) -> bool:
        """Return whether the service listens for changes of keys: it then probes the connection with this query."""
        return bool(await self.database.fetch(_LISTENS))

    async def send(self, key: str, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Send any request with a key."""
        return await self.service.send(method, path, body, Authorization=f"Bearer {key}", **headers)

    async def get(self, key: str, path: str) -> httpx.Response:
        """Get an address with a key."""
        return await self.send(key, "GET", path)

    async def post(self, key: str, path: str, body: object = None, *, idempotency_key: str = "") -> httpx.Response:
        """Post with a key of ours and an idempotency key (a new one when none is given)."""
        chosen = idempotency_key or secrets.token_hex(8)
        return await self.service.post(path, body, key=chosen, Authorization=f"Bearer {key}")

    async def create(self, key: str, *, idempotency_key: str = "", **wish: Any) -> httpx.Response:
        """Ask for a new key."""
        return await self.post(key, KEYS, wish, idempotency_key=idempotency_key)


@asynccontextmanager
async def key_desk(database: Database) -> AsyncIterator[KeyDesk]:
    """Run the service."""
    async with postgres_service(database) as service:
        await database.fetch("TRUNCATE harbor.api_keys, harbor.api_key_events")  # the key of the usual client
        yield KeyDesk(service, database)
