"""The API key routes of a command service over PostgreSQL, called with any key."""

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg
import httpx

from infra import clock
from infra.security.api_key_store import create_key
from infra.security.api_keys import PARTNER_SCOPES, KeyActor
from tests.support.services.command_service import PEPPER, Service, postgres_service
from tests.support.services.servers import Database

KEYS: Final = "/api/v1/api-keys"


def id_of(key: str) -> str:
    """Return the id in the text of a key."""
    return key.split("_")[2]


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
        """Make a key (without `scopes`: with all that manage keys of its kind) and give its text."""
        usual = PARTNER_SCOPES if partner_id else {"keys:manage", "events:read"}
        connection = await asyncpg.connect(self.database.admin_url)
        try:
            text, _record = await create_key(
                connection,
                pepper=PEPPER.encode(),
                partner_id=partner_id,
                livemode=livemode,
                scopes=frozenset(scopes or usual),
                now=clock.now(),
                by=KeyActor("cli", "ada", "r-cli"),
                expires_at=expires_at,
            )
        finally:
            await connection.close()
        return text

    async def revoke_unheard(self, key: str) -> None:
        """Revoke a key of which the service has just heard, in such a way that it does not hear of that."""
        assert (await self.get(key, KEYS)).status_code == 200
        connection = await asyncpg.connect(self.database.admin_url)
        await connection.execute("UPDATE harbor.api_keys SET revoked_at = now() WHERE key_id = $1", id_of(key))
        await connection.close()

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
        admin = await asyncpg.connect(database.admin_url)
        await admin.execute("TRUNCATE harbor.api_keys, harbor.api_key_events")  # the key of the usual client
        await admin.close()
        yield KeyDesk(service, database)
