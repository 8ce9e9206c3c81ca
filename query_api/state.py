"""What the lifespan of the query service opens, as handlers find it on a request."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import asyncpg
from starlette.requests import Request

from infra.http.app import ServiceState
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.sql import Query
from query_api.freshness import Freshness


@dataclass(frozen=True, slots=True)
class ReadDatabase:
    """Runs queries. `database` may still be opening; then a query raises `PoolNotOpenError`.

    All waiting is bounded by the request's own deadline; a timeout here would cost a task per query. A query that the
    deadline cuts off closes its connection: to return it, the pool would wait until a frozen server answers.
    """

    database: DeferredPool

    async def rows(self, query: Query, values: Mapping[str, Any]) -> list[asyncpg.Record]:
        """Return all rows."""
        async with self.database.pool.acquire() as connection:
            try:
                return await connection.fetch(query.sql, *query.arguments(**values))
            except asyncio.CancelledError:
                connection.terminate()
                raise


class QueryState(ServiceState):
    """The service's state. `partitions` is the number of shards, `consistency_wait_s` how long a token may wait."""

    reads: ReadDatabase
    freshness: Freshness
    partitions: int
    consistency_wait_s: float


def state_of(request: Request) -> QueryState:
    """Return the state that the lifespan opened."""
    return cast(QueryState, request.scope["state"])
