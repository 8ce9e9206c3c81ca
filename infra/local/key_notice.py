"""What there is to say beside a key of the stack: that it opens nothing any more, or will soon open nothing."""

import asyncio

import asyncpg

from infra import clock
from infra.local.home import make_command
from infra.security.api_key_store import find_key
from infra.security.api_keys import KeyRecord, MalformedKeyError, parse

_LOOK_S = 1.0


async def notice(admin_url: str, text: str) -> str:
    """Tell when a key was revoked or expires; nothing of a key that stays, or that cannot be looked up in a second."""
    try:
        async with asyncio.timeout(_LOOK_S):
            connection = await asyncpg.connect(admin_url)
            try:
                record = await find_key(connection, parse(text).key_id)
            finally:
                connection.terminate()
    except (OSError, TimeoutError, MalformedKeyError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return ""
    ending = _ending(record) if record else ""
    return ending and f"{ending} `{make_command('down')}`, then `{make_command('up')}` makes another"


def _ending(record: KeyRecord) -> str:
    if record.revoked_at:
        return f"revoked at {record.revoked_at:%Y-%m-%d %H:%M:%S} UTC;"
    if record.expires_at is None:
        return ""
    at = f"{record.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"expires at {at}; after that" if record.is_live(clock.now()) else f"expired at {at};"
