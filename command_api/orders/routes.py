"""The order routes: bytes -> body -> command -> handle -> bytes. Every one takes an Idempotency-Key.

Here are creating, authorizing, cancelling and setting a status; what edits an order is in `order_changes`, what moves
money in `order_money`.
"""

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from command_api.orders import bodies, declared
from command_api.orders.requests import PREFIX, accept, accept_verb, answer, order_id_of
from domain.order.commands import Authorize, Cancel, SetStatus
from domain.order.ids import OrderId
from domain.order.status import Status
from infra import clock
from infra.http import problems
from infra.http.auth import Principal, requires
from infra.http.problems import Problem
from infra.http.server.raw_route import RawRoute

_SCOPE_OF_STATUS: Final = {
    Status.AUTHORIZED: "orders:authorize",
    Status.CAPTURED: "orders:capture",
    Status.CANCELED: "orders:cancel",
    Status.SETTLED: "settlements:write",
}

router = APIRouter(route_class=RawRoute)


@router.post(
    PREFIX,
    status_code=201,
    operation_id="create_order",
    summary="Create an order",
    tags=["orders"],
    dependencies=[Depends(declared.new_order)],
    responses=declared.CREATED,
)
async def create_order(request: Request, principal: Annotated[Principal, requires("orders:write")]) -> Response:
    """Create an order; its status is `pending` until it is authorized, and it expires after seven days."""
    accepted = await accept(request, principal)
    body = bodies.parse_body(bodies.CreateOrderBody, accepted.body.value)
    order_id = OrderId(clock.new_id())
    tenant = accepted.caller.tenant
    return await answer(accepted, "create", partial(bodies.create_order, body, order_id, tenant), status=201)


@router.post(
    PREFIX + "/{order_id}/authorize",
    operation_id="authorize_order",
    summary="Authorize the total of an order",
    tags=["orders"],
    dependencies=[Depends(declared.verb)],
    responses=declared.CHANGED,
)
async def authorize(request: Request, principal: Annotated[Principal, requires("orders:authorize")]) -> Response:
    """Reserve the whole total; the authorization expires after seven days."""
    order_id, accepted = order_id_of(request), await accept_verb(request, principal)
    bodies.parse_body(bodies.NothingBody, accepted.body.value)
    return await answer(accepted, "authorize", lambda now: Authorize(order_id, now))


@router.post(
    PREFIX + "/{order_id}/cancel",
    operation_id="cancel_order",
    summary="Cancel an order",
    tags=["orders"],
    dependencies=[Depends(declared.cancellation)],
    responses=declared.CHANGED,
)
async def cancel(request: Request, principal: Annotated[Principal, requires("orders:cancel")]) -> Response:
    """Give an order up before anything of it is captured, and release what is authorized."""
    order_id, accepted = order_id_of(request), await accept_verb(request, principal)
    body = bodies.parse_body(bodies.CancelBody, accepted.body.value)
    return await answer(accepted, "cancel", lambda now: Cancel(order_id, body.reason, now))


@router.patch(
    PREFIX + "/{order_id}/status",
    operation_id="set_order_status",
    summary="Bring an order to a status",
    tags=["orders"],
    dependencies=[Depends(declared.status_change)],
    responses=declared.CHANGED,
)
async def set_status(
    request: Request, principal: Annotated[Principal, requires(*_SCOPE_OF_STATUS.values())]
) -> Response:
    """Do what leads to the status: authorize, capture all that is left, cancel, or settle all that is left.

    The status it has already changes nothing.

    The key needs the scope of the verb that leads to the status asked for.
    """
    order_id, accepted = order_id_of(request), await accept_verb(request, principal, is_body_optional=False)
    body = bodies.parse_body(bodies.SetStatusBody, accepted.body.value)
    status = bodies.parse_status(body)
    scope = _SCOPE_OF_STATUS.get(status)
    if scope is not None and scope not in principal.scopes:
        raise Problem(problems.SCOPE_MISSING, members={"required_scopes": [scope]})
    return await answer(accepted, "set_status", lambda now: SetStatus(order_id, status, body.reason, now))
