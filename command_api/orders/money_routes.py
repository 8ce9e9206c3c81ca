"""The routes that move an order's money after it was authorized: captures, voids, refunds, settlements."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from command_api.orders import change_declared, money_bodies
from command_api.orders.bodies import parse_body
from command_api.orders.requests import PREFIX, accept_verb, answer, order_id_of
from domain.order.commands import Refund, Void
from infra.http.auth import Principal, requires
from infra.http.server.raw_route import RawRoute

router = APIRouter(route_class=RawRoute)


@router.post(
    PREFIX + "/{order_id}/captures",
    operation_id="capture_order",
    summary="Capture what is authorized",
    tags=["orders"],
    dependencies=[Depends(change_declared.capture)],
    responses=change_declared.PAID,
)
async def capture(request: Request, principal: Annotated[Principal, requires("orders:capture")]) -> Response:
    """Take an amount, the price of some lines, or all that is left; unless `final` is false the rest is released."""
    order_id, accepted = order_id_of(request), await accept_verb(request, principal)
    body = parse_body(money_bodies.CaptureBody, accepted.body.value)
    return await answer(accepted, "capture", partial(money_bodies.capture, body, order_id))


@router.post(
    PREFIX + "/{order_id}/void",
    operation_id="void_order",
    summary="Release what is not captured",
    tags=["orders"],
    dependencies=[Depends(change_declared.void)],
    responses=change_declared.PAID,
)
async def void(request: Request, principal: Annotated[Principal, requires("orders:capture")]) -> Response:
    """Release what is authorized and not captured; before any capture that cancels the order."""
    order_id, accepted = order_id_of(request), await accept_verb(request, principal)
    body = parse_body(money_bodies.VoidBody, accepted.body.value)
    return await answer(accepted, "void", lambda now: Void(order_id, body.reason, now))


@router.post(
    PREFIX + "/{order_id}/refunds",
    operation_id="refund_order",
    summary="Give captured money back",
    tags=["orders"],
    dependencies=[Depends(change_declared.refund)],
    responses=change_declared.PAID,
)
async def refund(request: Request, principal: Annotated[Principal, requires("orders:refund")]) -> Response:
    """Give back an amount, or all that is left of the captures; `refund_status` tells how much it is by now."""
    order_id, accepted = order_id_of(request), await accept_verb(request, principal)
    body = parse_body(money_bodies.RefundBody, accepted.body.value)
    return await answer(accepted, "refund", lambda now: Refund(order_id, body.amount, body.reason, now))


@router.post(
    PREFIX + "/{order_id}/settlements",
    operation_id="settle_order",
    summary="Record a payout",
    tags=["orders"],
    dependencies=[Depends(change_declared.settlement)],
    responses=change_declared.PAID,
)
async def settle(request: Request, principal: Annotated[Principal, requires("settlements:write")]) -> Response:
    """Record that captured money was paid out; an order is settled when nothing is left to capture or to pay out."""
    order_id, accepted = order_id_of(request), await accept_verb(request, principal, is_body_optional=False)
    body = parse_body(money_bodies.SettlementBody, accepted.body.value)
    return await answer(accepted, "settle", partial(money_bodies.settle, body, order_id))
