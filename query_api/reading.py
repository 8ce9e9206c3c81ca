"""What every read does: waits for the caller's own writes, says how fresh its response is, and logs who read.

The freshness is taken before the query runs, so the response holds at least what its headers say.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

import asyncpg
from fastapi import Depends, Request, Response

from infra.http.auth import Principal, principal_of
from infra.http.context import context_of
from infra.http.cursors import Paging, paging
from infra.http.openapi.document import header, problem_responses
from infra.http.problems import NOT_FOUND, Problem, ProblemType
from infra.partitioning import partition_of
from infra.postgres.sql import Query
from query_api.parameters import ConsistencyToken
from query_api.problems import EVERY_READ
from query_api.state import QueryState, state_of
from query_api.tokens import parse_token
from query_api.visibility import visibility_of

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class ReadContext:
    """One read that may proceed: who reads, and the headers that say how fresh the response is."""

    request: Request
    principal: Principal
    state: QueryState
    headers: dict[str, str]

    @property
    def is_partner(self) -> bool:
        """Whether a partner reads its own data; otherwise it is an installation key."""
        return self.principal.partner_id is not None

    def not_found(self) -> Problem:
        """Return the one response to what is missing or somebody else's."""
        return Problem(NOT_FOUND, headers=self.headers)

    async def rows(self, query: Query, **values: Any) -> list[asyncpg.Record]:
        """Return the rows of a statement that is bound to what the caller may see.

        All waiting is bounded by the request's own deadline; a timeout here would cost a task per query. A query that
        the deadline cuts off closes its connection: to return it, the pool would wait until a frozen server responds.
        """
        arguments = query.arguments(**values | visibility_of(self.principal, query.names))
        async with self.state["database"].pool.acquire() as connection:
            try:
                return await connection.fetch(query.sql, *arguments)
            except asyncio.CancelledError:
                connection.terminate()
                raise

    async def row(self, query: Query, **values: Any) -> asyncpg.Record | None:
        """Return the row of a statement that has one at most, or None."""
        return next(iter(await self.rows(query, **values)), None)

    def note_order(self, order_id: UUID, partner_id: str) -> None:
        """Put what was read on the log line; for installation keys that line is the audit of the read."""
        context_of(self.request).log_fields |= {"order_id": str(order_id), "order_partner": partner_id}


class Reader:
    """Opens the reads of a route; its responses say how fresh they are."""

    def __init__(self, request: Request, response: Response, consistency_token: str | None) -> None:
        self._request = request
        self._response = response
        self._token = consistency_token

    async def open(self, projection: str, order_id: UUID | None = None) -> ReadContext:
        """Return a read of one projection, as `open_read`."""
        read = await open_read(self._request, projection, order_id, self._token)
        self._response.headers.update(read.headers)
        return read

    def stored(self, body: bytes) -> Response:
        """Return a response of bytes that are served as they are stored, with the headers of the read."""
        return Response(body, media_type=JSON, headers=self._response.headers)


async def reader(request: Request, response: Response, consistency_token: ConsistencyToken = None) -> Reader:
    """Return what opens the reads of a route; a dependency."""
    return Reader(request, response, consistency_token)


Reads = Annotated[Reader, Depends(reader)]
Pages = Annotated[Paging, Depends(paging)]


async def open_read(request: Request, projection: str, order_id: UUID | None, token_text: str | None) -> ReadContext:
    """Wait until the read model has what the `Consistency-Token` stands for, and take its freshness.

    Args:
        request: who asks; a read with an installation key is logged as `audit.read`.
        projection: which read model will be read.
        order_id: when the response is about one order, its partition's freshness counts and not the slowest one's.
        token_text: the header `Consistency-Token`, which names a partition and a position.

    Raises:
        Problem: 422 the token is malformed, 503 the read model has not come that far in time.
    """
    state, principal = state_of(request), principal_of(request)
    if principal.partner_id is None:
        context_of(request).log_event = "audit.read"
    token = parse_token(token_text, state["partitions"])
    freshness = state["freshness"]
    if token is not None:
        await freshness.wait_for(principal.account, token, projection, state["consistency_wait_s"])
    partition = None if order_id is None else partition_of(order_id, state["partitions"])
    headers = {"x-read-position": str(freshness.position(projection, partition))}
    lag_ms = freshness.lag_ms(projection)
    if lag_ms is not None:  # none is better than a wrong one
        headers["x-read-lag-ms"] = str(lag_ms)
    return ReadContext(request, principal, state, headers)


def read_responses(*kinds: ProblemType, headers: Sequence[str] = ()) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route for OpenAPI: its headers, and its problems beside `EVERY_READ`."""
    names = ("X-Read-Position", "X-Read-Lag-Ms", *headers)
    return {200: {"headers": {name: header(name) for name in names}}, **problem_responses(*EVERY_READ, *kinds)}
