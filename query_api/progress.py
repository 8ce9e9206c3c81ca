"""How far the log and the read models have come, according to the tables; `query_api.freshness` interprets it."""

from typing import Final

from infra.postgres.deferred_pool import DeferredPool
from query_api.freshness import VERSIONS, Progress, ProgressSnapshot

PARTITIONS: Final = """
SELECT c.projection, c.partition, c.last_position, c.applied_count
FROM harbor.checkpoints AS c JOIN unnest($1::text[], $2::integer[]) AS served (projection, version)
  ON c.projection = served.projection AND c.version = served.version
"""
"""How far the projections this service reads have come. $1 names, $2 versions."""

HEAD: Final = "SELECT last_position FROM harbor.batches WHERE log_id = 0 ORDER BY last_position DESC LIMIT 1"
"""The last position of the log. Read after `PARTITIONS`: the comparison then errs to the safe side."""

NEXT_BATCHES: Final = """
SELECT b.last_position, b.committed_at
FROM unnest($1::bigint[]) AS counts (applied)
CROSS JOIN LATERAL (
    SELECT last_position, committed_at FROM harbor.batches
    WHERE log_id = 0 AND last_position > counts.applied ORDER BY last_position LIMIT 1
) AS b
"""
"""For each count of applied events ($1), the batch with which the log came to hold more."""


async def read_progress(database: DeferredPool) -> ProgressSnapshot:
    """Look at how far the log and the read models have come."""
    async with database.pool.acquire() as connection:
        rows = await connection.fetch(PARTITIONS, list(VERSIONS), list(VERSIONS.values()))
        head = await connection.fetchval(HEAD) or 0
        applied = dict.fromkeys(VERSIONS, 0)
        for row in rows:
            applied[row["projection"]] += row["applied_count"]
        behind = sorted({count for count in applied.values() if count < head})
        batches = await connection.fetch(NEXT_BATCHES, behind) if behind else []
    partitions = {
        (row["projection"], row["partition"]): Progress(row["last_position"], row["applied_count"]) for row in rows
    }
    return ProgressSnapshot(head, partitions, [(row["last_position"], row["committed_at"]) for row in batches])
