"""A bounded cache of API keys in front of the store, never older than `TTL_S`.

A revocation is effective in every process within `TTL_S`, even without a notification, because no older entry is used.
When the store cannot be reached, the cache fails closed: it does not trust an old entry.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from infra import clock
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.security.api_keys import KeyRecord

TTL_S: Final = 4.0
"""The promised 5 s less the time that one lookup may take."""
LOOKUP_TIMEOUT_S: Final = 1.0
MAX_ENTRIES: Final = 10_000


class KeyStoreUnavailableError(Exception):
    """The store cannot be reached and the entry is too old."""


@dataclass(frozen=True, slots=True)
class _Entry:
    record: KeyRecord | None
    asked_at_s: float


class KeyCache:
    """Keys as the store had them at most `TTL_S` ago; unknown ids are cached too.

    `find` asks the store for one key. `capacity` bounds the memory: the oldest entry is dropped first.
    """

    def __init__(
        self,
        find: Callable[[str], Awaitable[KeyRecord | None]],
        *,
        ttl_s: float = TTL_S,
        capacity: int = MAX_ENTRIES,
        monotonic_s: Callable[[], float] = clock.monotonic_s,
    ) -> None:
        self._find = find
        self._ttl_s = ttl_s
        self._capacity = capacity
        self._monotonic_s = monotonic_s
        self._entries: dict[str, _Entry] = {}
        self._lookups: dict[str, asyncio.Task[KeyRecord | None]] = {}
        self._used: set[str] = set()

    async def get(self, key_id: str) -> KeyRecord | None:
        """Return the record of a key, or None when there is none.

        Raises:
            KeyStoreUnavailableError: the store cannot be reached, and there is no entry or it is too old.
        """
        entry = self._entries.get(key_id)
        if entry is None or self._monotonic_s() - entry.asked_at_s >= self._ttl_s:
            return await self._look_up(key_id)
        return entry.record

    def note_use(self, key_id: str) -> None:
        """Remember that a key was used, for `take_uses`."""
        self._used.add(key_id)

    def take_uses(self) -> list[str]:
        """Return the keys used since the last call, and forget them."""
        used = sorted(self._used)
        self._used.clear()
        return used

    def forget(self, key_id: str) -> None:
        """Drop a key that changed; the next request asks the store."""
        self._entries.pop(key_id, None)

    def forget_all(self) -> None:
        """Drop every key: which of them changed is not known."""
        self._entries.clear()

    async def _look_up(self, key_id: str) -> KeyRecord | None:
        """Ask once for all requests that wait; one that is cancelled does not cancel the others."""
        lookup = self._lookups.get(key_id)
        if lookup is None:
            lookup = asyncio.create_task(self._ask(key_id))
            self._lookups[key_id] = lookup
            lookup.add_done_callback(lambda _done: self._lookups.pop(key_id, None))
        return await asyncio.shield(lookup)

    async def _ask(self, key_id: str) -> KeyRecord | None:
        asked_at_s = self._monotonic_s()  # before asking: the record may be as old as that
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                record = await self._find(key_id)
        except ANY_DATABASE_ERROR as error:
            raise KeyStoreUnavailableError("the store of API keys cannot be reached") from error
        self._entries.pop(key_id, None)
        if len(self._entries) >= self._capacity:
            del self._entries[next(iter(self._entries))]
        self._entries[key_id] = _Entry(record, asked_at_s)
        return record
