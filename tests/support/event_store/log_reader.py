"""A reader of the log like every consumer: polls `position > last ORDER BY position` and keeps what it saw."""

from typing import Final

import asyncpg

from infra.postgres.connection import DedicatedConnection
from tests.faults.log_checks import Seen

LOG: Final = """
SELECT position, stream_id, version, event_id, payload FROM harbor.events
WHERE position > $1 AND log_id = 0
ORDER BY position LIMIT $2
"""
_AT_ONCE = 1000


class LogReader:
    """Goes on from the last position it saw and never looks back.

    Attributes:
        seen: every event, in the order in which it came.
    """

    def __init__(self, connection: DedicatedConnection, query: str = LOG) -> None:
        self.seen: list[Seen] = []
        self._connection = connection
        self._query = query

    async def poll(self) -> int:
        """Read what follows the last position; return the number of events."""
        last = self.seen[-1].position if self.seen else 0
        rows = await self._connection.fetch(self._query, last, _AT_ONCE)
        self.seen.extend(Seen(*row) for row in rows)
        return len(rows)

    async def catch_up(self) -> None:
        """Poll until nothing more comes."""
        while await self.poll():
            pass


async def whole_log(url: str) -> list[Seen]:
    """Return the log as a reader sees it that starts at the beginning."""
    connection = await asyncpg.connect(url)
    try:
        reader = LogReader(connection)
        await reader.catch_up()
    finally:
        await connection.close()
    return reader.seen
