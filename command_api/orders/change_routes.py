"""The routes that edit an order: its lines, its details, notes on it.

Lines and details are edited by somebody who has seen them, so If-Match is required there (decision 0045).
"""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from command_api.orders import change_bodies, change_declared
from command_api.orders.bodies import parse_body
from command_api.orders.requests import PREFIX, accept_edit, accept_verb, answer, order_id_of
from infra.http.auth import Principal, requires
from infra.http.server.raw_route import RawRoute

router = APIRouter(route_class=RawRoute)


@router.post(
    PREFIX + "/{order_id}/amendments",
    operation_id="amend_order",
    summary="Change the lines of an order",
    tags=["orders"],
    dependencies=[Depends(change_declared.amendment)],
    responses=change_declared.EDITED,
)
async def amend(request: Request, principal: Annotated[Principal, requires("orders:write")]) -> Response:
    """Change lines while the order is pending: all changes, in their order, or none."""
    order_id, accepted = order_id_of(request), await accept_edit(request, principal)
    body = parse_body(change_bodies.AmendmentBody, accepted.body.value)
    return await answer(accepted, "amend", partial(change_bodies.amend_lines, body, order_id))


@router.patch(
    PREFIX + "/{order_id}",
    operation_id="update_order",
    summary="Change the details of an order",
    tags=["orders"],
    dependencies=[Depends(change_declared.details)],
    responses=change_declared.EDITED,
)
async def update(request: Request, principal: Annotated[Principal, requires("orders:write")]) -> Response:
    """Change what the body names: the address while pending, metadata at any time, an external reference once."""
    order_id, accepted = order_id_of(request), await accept_edit(request, principal)
    body = parse_body(change_bodies.DetailsBody, accepted.body.value)
    return await answer(accepted, "update_details", partial(change_bodies.update_details, body, order_id))


@router.post(
    PREFIX + "/{order_id}/notes",
    operation_id="add_order_note",
    summary="Add a note to an order",
    tags=["orders"],
    dependencies=[Depends(change_declared.note)],
    responses=change_declared.NOTED,
)
async def add_note(request: Request, principal: Annotated[Principal, requires("orders:write")]) -> Response:
    """Keep a note with the order, whatever its status; it changes nothing else and goes out with the order's events."""
    order_id, accepted = order_id_of(request), await accept_verb(request, principal, is_body_optional=False)
    body = parse_body(change_bodies.NoteBody, accepted.body.value)
    return await answer(accepted, "add_note", partial(change_bodies.add_note, body, order_id))
