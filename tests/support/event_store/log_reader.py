"""A reader as every consumer of the log is one: polls `position > last ORDER BY position` and keeps what it saw."""

from typing import Final

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
        polls: how often it looked.
    """

    def __init__(self, connection: DedicatedConnection, query: str = LOG) -> None:
        self.seen: list[Seen] = []
        self.polls = 0
        self._connection = connection
        self._query = query

    async def poll(self) -> int:
        """Read what is there behind the last position; give how many events that were."""
        last = self.seen[-1].position if self.seen else 0
        rows = await self._connection.fetch(self._query, last, _AT_ONCE)
        self.polls += 1
        self.seen.extend(Seen(*row) for row in rows)
        return len(rows)

    async def catch_up(self) -> None:
        """Poll until nothing more comes."""
        while await self.poll():
            pass
