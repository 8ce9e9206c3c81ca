"""The routes that create an order and change it. Each takes an Idempotency-Key and responds with the order.

Lines and details are edited by somebody who has seen them, so If-Match is required there (decision 0045).
"""

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Body
from starlette.responses import Response

from command_api.orders import bodies, change_bodies, money_bodies
from command_api.orders.responses import CHANGED, CREATED, EDITED, PAID
from command_api.requests import EditRequest, NewOrderRequest, OrderIdPath, VerbRequest, respond
from domain.order.commands import Authorize, Cancel, Refund, Void
from domain.order.ids import OrderId
from domain.order.status import Status
from infra import clock
from infra.http import problems
from infra.http.addresses import ORDERS
from infra.http.auth import Principal, requires
from infra.http.problems import Problem
from infra.http.server.raw_route import RawRoute

_SCOPE_OF_STATUS: Final = {
    Status.AUTHORIZED: "orders:authorize",
    Status.CAPTURED: "orders:capture",
    Status.CANCELED: "orders:cancel",
    Status.SETTLED: "settlements:write",
}
# What a verb asks for without a body.
_NO_AUTHORIZE_REASON: Final = bodies.AuthorizeBody()
_NO_CANCEL_REASON: Final = bodies.CancelBody()
_CAPTURE_ALL: Final = money_bodies.CaptureBody()
_NO_VOID_REASON: Final = money_bodies.VoidBody()
_REFUND_ALL: Final = money_bodies.RefundBody()

router = APIRouter(prefix=ORDERS, tags=["orders"], route_class=RawRoute)


@router.post(
    "",
    status_code=201,
    operation_id="create_order",
    summary="Create an order",
    dependencies=[requires("orders:write")],
    responses=CREATED,
)
async def create_order(command: NewOrderRequest, body: bodies.CreateOrderBody) -> Response:
    """Create an order; its status is `pending` until it is authorized, and it expires after seven days."""
    order_id = OrderId(clock.new_id())
    make = partial(bodies.create_order, body, order_id, command.caller.tenant)
    return await respond(command, "create", make, status=201)


@router.post(
    "/{order_id}/authorize",
    operation_id="authorize_order",
    summary="Authorize the total of an order",
    dependencies=[requires("orders:authorize")],
    responses=CHANGED,
)
async def authorize(
    order_id: OrderIdPath, command: VerbRequest, body: Annotated[bodies.AuthorizeBody, Body()] = _NO_AUTHORIZE_REASON
) -> Response:
    """Reserve the whole total; the authorization expires after seven days."""
    return await respond(command, "authorize", lambda now: Authorize(order_id, now, body.reason))


@router.post(
    "/{order_id}/cancel",
    operation_id="cancel_order",
    summary="Cancel an order",
    dependencies=[requires("orders:cancel")],
    responses=CHANGED,
)
async def cancel(
    order_id: OrderIdPath, command: VerbRequest, body: Annotated[bodies.CancelBody, Body()] = _NO_CANCEL_REASON
) -> Response:
    """Cancel an order before anything of it is captured, and release what is authorized."""
    return await respond(command, "cancel", lambda now: Cancel(order_id, body.reason, now))


@router.patch(
    "/{order_id}/status",
    operation_id="set_order_status",
    summary="Bring an order to a status",
    responses=CHANGED,
)
async def set_status(
    principal: Annotated[Principal, requires(*_SCOPE_OF_STATUS.values())],
    order_id: OrderIdPath,
    command: VerbRequest,
    body: bodies.SetStatusBody,
) -> Response:
    """Run the verb that leads to the status: authorize, capture all that is left, cancel, or settle all that is left.

    The status it has already changes nothing. `reason` is kept on the event and shown in the timeline.

    The key needs the scope of the verb that leads to the status asked for.
    """
    scope = _SCOPE_OF_STATUS.get(bodies.set_status(body, order_id, clock.now()).status)
    if scope is not None and scope not in principal.scopes:
        raise Problem(problems.SCOPE_MISSING, members={"required_scopes": [scope]})
    return await respond(command, "set_status", partial(bodies.set_status, body, order_id))


@router.post(
    "/{order_id}/amendments",
    operation_id="amend_order",
    summary="Change the lines of an order",
    dependencies=[requires("orders:write")],
    responses=EDITED,
)
async def amend(
    order_id: OrderIdPath,
    command: EditRequest,
    body: Annotated[change_bodies.AmendmentBody, Body(openapi_examples=change_bodies.AMENDMENTS)],
) -> Response:
    """Change lines while the order is pending: all changes, in their order, or none."""
    return await respond(command, "amend", partial(change_bodies.amend_lines, body, order_id))


@router.patch(
    "/{order_id}",
    operation_id="update_order",
    summary="Change the details of an order",
    dependencies=[requires("orders:write")],
    responses=EDITED,
)
async def update(order_id: OrderIdPath, command: EditRequest, body: change_bodies.DetailsBody) -> Response:
    """Change what the body names: the address while pending, metadata at any time, an external reference once."""
    return await respond(command, "update_details", partial(change_bodies.update_details, body, order_id))


@router.post(
    "/{order_id}/notes",
    operation_id="add_order_note",
    summary="Add a note to an order",
    dependencies=[requires("orders:write")],
    responses=CHANGED,
)
async def add_note(order_id: OrderIdPath, command: VerbRequest, body: change_bodies.NoteBody) -> Response:
    """Add a note, whatever the order's status; it changes nothing else and is published with the order's events."""
    return await respond(command, "add_note", partial(change_bodies.add_note, body, order_id))


@router.post(
    "/{order_id}/captures",
    operation_id="capture_order",
    summary="Capture what is authorized",
    dependencies=[requires("orders:capture")],
    responses=PAID,
)
async def capture(
    order_id: OrderIdPath,
    command: VerbRequest,
    body: Annotated[money_bodies.CaptureBody, Body(openapi_examples=money_bodies.CAPTURES)] = _CAPTURE_ALL,
) -> Response:
    """Take an amount, the price of some lines, or all that is left; unless `final` is false the rest is released."""
    return await respond(command, "capture", partial(money_bodies.capture, body, order_id))


@router.post(
    "/{order_id}/void",
    operation_id="void_order",
    summary="Release what is not captured",
    dependencies=[requires("orders:capture")],
    responses=PAID,
)
async def void(
    order_id: OrderIdPath, command: VerbRequest, body: Annotated[money_bodies.VoidBody, Body()] = _NO_VOID_REASON
) -> Response:
    """Release what is authorized and not captured; before any capture that cancels the order."""
    return await respond(command, "void", lambda now: Void(order_id, body.reason, now))


@router.post(
    "/{order_id}/refunds",
    operation_id="refund_order",
    summary="Refund captured money",
    dependencies=[requires("orders:refund")],
    responses=PAID,
)
async def refund(
    order_id: OrderIdPath, command: VerbRequest, body: Annotated[money_bodies.RefundBody, Body()] = _REFUND_ALL
) -> Response:
    """Refund an amount, or all that is left of the captures; `refund_status` says how much was refunded so far."""
    return await respond(command, "refund", lambda now: Refund(order_id, body.amount, body.reason, now))


@router.post(
    "/{order_id}/settlements",
    operation_id="settle_order",
    summary="Record a payout",
    dependencies=[requires("settlements:write")],
    responses=PAID,
)
async def settle(order_id: OrderIdPath, command: VerbRequest, body: money_bodies.SettlementBody) -> Response:
    """Record that captured money was paid out; an order is settled when nothing is left to capture or to pay out."""
    return await respond(command, "settle", partial(money_bodies.settle, body, order_id))
