"""POST /orders/batch: many creates in one request, each under its own key, with a result for each."""

from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends
from starlette.responses import Response

from command_api.batches.bodies import BatchBody
from command_api.batches.handle import Item, handle_batch, slices
from command_api.batches.responses import RESPONSES
from command_api.handling.appends import Caller
from command_api.metrics import CommandMetrics
from command_api.requests import PartnerTenant, Traceparent
from command_api.state import CommandState, state_of
from infra.http import problems
from infra.http.addresses import ORDERS
from infra.http.auth import principal_of, requires
from infra.http.context import RequestContext
from infra.http.json_body import Json
from infra.http.problems import Problem
from infra.http.server.raw_route import RawRequest, RawRoute
from infra.partitioning import partition_of

BATCH: Final = ORDERS + "/batch"
_REFUSED_FROM: Final = 400
_UNKNOWN_FROM: Final = 500

router = APIRouter(tags=["orders"], route_class=RawRoute)


async def require_room(request: RawRequest) -> None:
    """Refuse a batch before its body is read while too many wait; 503."""
    state_of(request)["batches"].require_room()


async def _sender(request: RawRequest, tenant: PartnerTenant, traceparent: Traceparent = None) -> Caller:
    return Caller(tenant, principal_of(request).key_id, "", b"", ORDERS, request.context.request_id, traceparent)


@router.post(
    BATCH,
    status_code=207,
    operation_id="create_orders",
    summary="Create many orders",
    dependencies=[requires("orders:write"), Depends(require_room)],
    responses=RESPONSES,
)
async def create_orders(request: RawRequest, sender: Annotated[Caller, Depends(_sender)], body: BatchBody) -> Response:
    """Create up to 500 orders, each under its own key; the results are in the order of the request.

    An item is the same request as `POST /api/v1/orders` under that key: either may repeat the other and gets the first
    response. One order that is refused never affects the others. Items with a `status` of 500 or above may have been
    written or not: send them again with the same keys. The body is at most 1 MiB; a batch counts as its orders against
    the rate. An `Idempotency-Key` header is not read.
    """
    state, context = state_of(request), request.context
    orders = body.orders
    context.log_event = "batch.handled"
    context.log_fields["orders"] = len(orders)
    async with state["batches"].entered():
        await state["authenticator"].count_more(principal_of(request), context, len(orders) - 1)
        items = await _handled(state["metrics"], orders, handle_batch(state["writes"], sender, orders))
        return await _response(items, state, context)


async def _handled(metrics: CommandMetrics, orders: Sequence[Json], handling: Awaitable[list[Item]]) -> list[Item]:
    """Count every order by its outcome, also when the whole batch fails."""
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
    """Count the results: an order that exists already is `replayed`, a repeated refusal is `refused`."""
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


async def _response(items: Sequence[Item], state: CommandState, context: RequestContext) -> Response:
    summary = _summary(items)
    context.log_fields.update(summary)
    results: list[bytes] = []
    async for part in slices(items):
        results.extend(_result(item, state, context.request_id) for item in part)
    body = b'{"summary":%b,"results":[%b]}' % (orjson.dumps(summary), b",".join(results))
    return Response(body, 207, media_type="application/json")


def _result(item: Item, state: CommandState, request_id: str) -> bytes:
    """Return what the headers and the body of a single create would say. The recorded bytes go out as they are."""
    response = item.response
    document: dict[str, object] = {
        "idempotency_key": item.key,
        "status": item.status,
        "replayed": item.replayed,
        "location": None,
        "etag": None,
        "consistency_token": None,
    }
    if isinstance(response, Problem):
        body = problems.render(response, BATCH, request_id)
    else:
        body = response.body
        if response.status < _REFUSED_FROM:
            document["location"] = f"{state['orders_url']}/{response.order_id}"
            document["etag"] = f'"{response.version}"'
            document["consistency_token"] = (
                f"{partition_of(response.order_id, state['partitions'])}.{response.position}"
            )
    document["body"] = orjson.Fragment(body)
    return orjson.dumps(document)
