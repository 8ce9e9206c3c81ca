"""What every read does: waits for the asker's own writes, says how fresh its answer is, and notes who looked.

The freshness is taken before the query runs, so the answer holds at least what its headers say.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from infra.http.auth import Principal
from infra.http.context import context_of
from infra.http.problems import NOT_FOUND, Problem
from infra.partitioning import partition_of
from query_api.orders.queries import Visibility
from query_api.state import QueryState, state_of
from query_api.tokens import parse_token

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class ReadContext:
    """One read that may go on: who sees what, and the headers that say how fresh the answer is."""

    request: Request
    state: QueryState
    visibility: Visibility
    headers: dict[str, str]

    def not_found(self) -> Problem:
        """Return the one answer for what is missing, malformed or somebody else's."""
        return Problem(NOT_FOUND, headers=self.headers)

    def answer(self, body: bytes, headers: dict[str, str] | None = None) -> Response:
        """Return 200 with a JSON body."""
        return Response(body, media_type=JSON, headers={**self.headers, **(headers or {})})


async def open_read(
    request: Request, principal: Principal, projection: str, order_id: UUID | None = None
) -> ReadContext:
    """Wait until the read model has what the `Consistency-Token` stands for, and take its freshness.

    Args:
        request: its header `Consistency-Token`, if any, names a shard and a position.
        principal: whose key it is; a read with a key of the installation is logged as `audit.read`.
        projection: which read model will be read.
        order_id: when the answer is about one order, its shard's freshness counts and not the slowest one's.

    Raises:
        Problem: 422 the token is malformed, 503 the read model has not come that far in time.
    """
    state, context = state_of(request), context_of(request)
    if principal.partner_id is None:
        context.log_event = "audit.read"
    token = parse_token(context.header(b"consistency-token"), state["partitions"])
    freshness = state["freshness"]
    if token is not None:
        await freshness.wait_for(principal.account, token, projection, state["consistency_wait_s"])
    shard = None if order_id is None else partition_of(order_id, state["partitions"])
    headers = {"x-read-position": str(freshness.position(projection, shard))}
    lag_ms = freshness.lag_ms(projection)
    if lag_ms is not None:  # better no answer than a wrong one
        headers["x-read-lag-ms"] = str(lag_ms)
    return ReadContext(request, state, Visibility.of(principal), headers)
