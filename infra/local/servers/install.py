"""Make a database ready for the processes: create and migrate it, add login roles and API keys. Safe to repeat."""

import hmac
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Final

import asyncpg
from pydantic import SecretStr

from infra import clock
from infra.local.addresses import DATABASE
from infra.local.errors import LocalError
from infra.postgres.advice import advice
from infra.postgres.connection import Connection
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.postgres.login_roles import create_login_roles
from infra.postgres.migrate import MigrationError, migrate
from infra.security.api_key_errors import TooManyKeysError
from infra.security.api_key_store import create_key, find_key
from infra.security.api_keys import (
    INSTALLATION_SCOPES,
    PARTNER_SCOPES,
    KeyActor,
    KeyRecord,
    MalformedKeyError,
    hash_key,
    parse,
)
from infra.security.secrets_at_rest import SealedSecretError, SecretBox

# name in stack.json -> (partner, scopes); all are test-mode keys
API_KEYS: Mapping[str, tuple[str | None, frozenset[str]]] = MappingProxyType(
    {
        "partner_a": ("partner_a", PARTNER_SCOPES),
        "partner_b": ("partner_b", PARTNER_SCOPES),
        "dashboard": (None, frozenset({"dashboard:read"})),
        "auditor": (None, frozenset({"audit:read", "events:read"})),
        "operator": (None, INSTALLATION_SCOPES),
    }
)

_SEALED: Final = """
SELECT endpoint_id, sealed_secret FROM harbor.webhook_endpoints
WHERE sealed_secret IS NOT NULL ORDER BY endpoint_id DESC LIMIT 100
"""


async def create_database(admin_url: str) -> None:
    """Create the stack's database in our own cluster if it is missing; `admin_url` is that database's address."""
    connection = await asyncpg.connect(admin_url, database="postgres", timeout=10)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        await connection.close()


async def install(
    admin_url: str,
    passwords: Mapping[str, str],
    keys: MutableMapping[str, str],
    pepper: str,
    say: Callable[[str], object] = lambda _line: None,
) -> list[str]:
    """Migrate, create login roles and API keys, and return the names of the applied migrations.

    Args:
        admin_url: the administrator's address of the database.
        passwords: login role -> password.
        keys: name -> API key; keys that are missing here, or unknown to the database, are added.
        pepper: HMAC key over API keys.
        say: gets a line when there is another migration to wait for.

    Raises:
        LocalError: the database cannot be reached or refuses.
    """
    try:
        applied = await migrate(admin_url, say=say)
        await create_login_roles(admin_url, passwords)
        await _create_keys(admin_url, keys, pepper.encode())
    except (MigrationError, TooManyKeysError) as error:
        raise LocalError(f"the database cannot be made ready: {error}") from error
    except ANY_DATABASE_ERROR as error:
        raise LocalError(advice(error)) from error
    return applied


async def _create_keys(admin_url: str, keys: MutableMapping[str, str], pepper: bytes) -> None:
    connection, request_id = await asyncpg.connect(admin_url, timeout=10), clock.new_id_text()
    try:
        await _check_pepper(connection, keys.values(), pepper)
        for name, (partner_id, scopes) in API_KEYS.items():
            if not await opens(connection, keys.get(name, ""), pepper):
                text, _record = await create_key(
                    connection,
                    pepper=pepper,
                    partner_id=partner_id,
                    livemode=False,
                    scopes=scopes,
                    now=clock.now(),
                    label=f"local stack: {name}",
                    by=KeyActor("installation", "install", request_id),
                )
                keys[name] = text
    finally:
        await connection.close()


async def _check_pepper(connection: Connection, texts: Iterable[str], pepper: bytes) -> None:
    """Refuse a pepper that fits none of the keys that the database knows: everybody else's key would be 401 too."""
    known = [(text, record) for text in texts if (record := await _record_of(connection, text)) is not None]
    if known and not any(hmac.compare_digest(record.hashed, hash_key(pepper, text)) for text, record in known):
        raise LocalError(
            "the API keys of this database were made with another pepper, and all of them would be refused: "
            "set HARBOR_SECURITY__API_KEY_PEPPER to that one, or unset it to use the one of the home"
        )


async def _record_of(connection: Connection, text: str) -> KeyRecord | None:
    try:
        return await find_key(connection, parse(text).key_id)
    except MalformedKeyError:
        return None


async def opens(connection: Connection, text: str, pepper: bytes) -> bool:
    """Return whether an API key is live, and its hash was made with this pepper."""
    record = await _record_of(connection, text)
    if record is None or not record.is_live(clock.now()):
        return False
    return hmac.compare_digest(record.hashed, hash_key(pepper, text))


async def opens_endpoints(connection: Connection, key: str) -> bool:
    """Return whether a key for webhook secrets opens one of the newest endpoints; True without endpoints.

    Raises:
        ValueError: it is not base64 of 32 bytes.
    """
    box = SecretBox.from_setting(SecretStr(key))
    rows = await connection.fetch(_SEALED)
    return not rows or any(_is_opened(box, str(row["endpoint_id"]), row["sealed_secret"]) for row in rows)


def _is_opened(box: SecretBox, endpoint_id: str, sealed: bytes) -> bool:
    try:
        box.open(sealed, endpoint_id)
    except SealedSecretError:
        return False
    return True


async def refuse_other_webhook_key(admin_url: str, key: str) -> None:
    """Refuse a key that opens no endpoint: new ones would be sealed with it, and be unreadable with the right one.

    Raises:
        LocalError: it is another one, or none.
    """
    connection = await asyncpg.connect(admin_url, timeout=10)
    try:
        is_right = await opens_endpoints(connection, key)
    except ValueError as error:
        raise LocalError(str(error)) from None
    finally:
        await connection.close()
    if not is_right:
        raise LocalError(
            "webhook endpoints of this database were made with another key for their secrets, and nothing would be "
            "delivered to them: set HARBOR_SECURITY__WEBHOOK_SECRETS_KEY to that one, or unset it to use the home's"
        )


async def server_version(admin_url: str) -> str:
    """Return the version that PostgreSQL reports."""
    connection = await asyncpg.connect(admin_url, timeout=10)
    try:
        return str(await connection.fetchval("SHOW server_version")).split()[0]
    finally:
        await connection.close()
