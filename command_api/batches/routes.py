"""POST /orders/batch: many creates in one request, each under its own key, answered item by item."""

from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from command_api.batches import declared
from command_api.batches.handle import Item, Sender, handle_batch, orders_of, slices
from command_api.metrics import CommandMetrics
from command_api.orders.requests import PREFIX
from command_api.state import state_of
from infra.http import problems
from infra.http.auth import Principal, requires
from infra.http.context import RequestContext, context_of
from infra.http.json_body import Json, read_json
from infra.http.problems import Problem
from infra.http.server.raw_route import RawRoute
from infra.partitioning import partition_of

BATCH: Final = PREFIX + "/batch"
_REFUSED_FROM: Final = 400
_UNKNOWN_FROM: Final = 500

router = APIRouter(route_class=RawRoute)


@router.post(
    BATCH,
    status_code=207,
    operation_id="create_orders",
    summary="Create many orders",
    tags=["orders"],
    dependencies=[Depends(declared.new_orders)],
    responses=declared.ANSWERED,
)
async def create_orders(request: Request, principal: Annotated[Principal, requires("orders:write")]) -> Response:
    """Create up to 500 orders, each under its own key, answered one by one in the order of the request.

    An item is the same request as `POST /api/v1/orders` under that key: either may repeat the other and gets the first
    answer. One order that is refused never harms the others. Items with a `status` of 500 or above may have been
    written or not: send them again with the same keys. The body is at most 1 MiB; a batch counts as its orders against
    the rate. An `Idempotency-Key` header is not read.
    """
    state, context = state_of(request), context_of(request)
    tenant = principal.tenant
    state["batches"].require_room()
    body = await read_json(request, state["bodies"])
    orders = orders_of(body.value)
    context.log_event = "batch.handled"
    context.log_fields["orders"] = len(orders)
    sender = Sender(tenant, principal.key_id, PREFIX, context.request_id, context.traceparent)
    async with state["batches"].entered():
        await state["authenticator"].count_more(principal, context, len(orders) - 1)
        items = await _handled(state["metrics"], orders, handle_batch(state["writes"], sender, orders))
        return await _response(items, state["partitions"], context)


async def _handled(metrics: CommandMetrics, orders: Sequence[Json], handling: Awaitable[list[Item]]) -> list[Item]:
    """Count every order by what became of it, also when the whole batch fails."""
    try:
        items = await handling
    except BaseException:
        metrics.count("create", "error", len(orders))
        raise
    for outcome, commands in Counter(map(_outcome, items)).items():
        metrics.count("create", outcome, commands)
    return items


def _outcome(item: Item) -> str:
    if item.status >= _UNKNOWN_FROM:
        return "error"
    if item.replayed:
        return "replayed"
    return "done" if item.status < _REFUSED_FROM else "refused"


def _summary(items: Sequence[Item]) -> dict[str, int]:
    """Count what there is now: an order that was there before is not one that was refused before."""
    counts = Counter(
        "unknown"
        if item.status >= _UNKNOWN_FROM
        else "refused"
        if item.status >= _REFUSED_FROM
        else "replayed"
        if item.replayed
        else "created"
        for item in items
    )
    return {"orders": len(items)} | {name: counts[name] for name in ("created", "replayed", "refused", "unknown")}


async def _response(items: Sequence[Item], partitions: int, context: RequestContext) -> Response:
    summary = _summary(items)
    context.log_fields.update(summary)
    results: list[bytes] = []
    async for part in slices(items):
        results.extend(_result(item, partitions, context.request_id) for item in part)
    body = b'{"summary":%b,"results":[%b]}' % (orjson.dumps(summary), b",".join(results))
    return Response(body, 207, media_type="application/json")


def _result(item: Item, partitions: int, request_id: str) -> bytes:
    """Return what the headers and the body of a single create would say. The recorded bytes go out as they are."""
    answer = item.answer
    document: dict[str, object] = {
        "idempotency_key": item.key,
        "status": item.status,
        "replayed": item.replayed,
        "location": None,
        "etag": None,
        "consistency_token": None,
    }
    if isinstance(answer, Problem):
        body = problems.render(answer, BATCH, request_id)
    else:
        body = answer.body
        if answer.status < _REFUSED_FROM:
            document["location"] = f"{PREFIX}/{answer.order_id}"
            document["etag"] = f'"{answer.version}"'
            document["consistency_token"] = f"{partition_of(answer.order_id, partitions)}.{answer.position}"
    document["body"] = orjson.Fragment(body)
    return orjson.dumps(document)
