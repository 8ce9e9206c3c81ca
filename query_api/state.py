"""What the lifespan of the query service opens, as handlers find it on a request."""

from typing import cast

from starlette.requests import Request

from infra.http.app import ServiceState
from infra.postgres.deferred_pool import DeferredPool
from query_api.freshness import Freshness


class QueryState(ServiceState):
    """The service's state. `partitions` is the number of partitions, `consistency_wait_s` how long a token may wait.

    While `database` is still opening, a read raises `PoolNotOpenError`.
    """

    database: DeferredPool
    freshness: Freshness
    partitions: int
    consistency_wait_s: float


def state_of(request: Request) -> QueryState:
    """Return the state that the lifespan opened."""
    return cast(QueryState, request.scope["state"])
