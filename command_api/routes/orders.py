"""The order routes: bytes -> body -> command -> handle -> bytes. Every one takes an Idempotency-Key."""

from functools import partial
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from command_api import declared, models
from command_api.handle import Answer, Caller, MakeCommand, handle
from command_api.idempotency import HEADER, fingerprint, parse_key
from command_api.json_body import JsonBody, read_json
from command_api.state import state_of
from domain.order.commands import Authorize, Cancel, Capture, SetStatus
from domain.order.ids import OrderId
from domain.order.status import Status
from infra import clock
from infra.http import problems
from infra.http.auth import Principal, requires
from infra.http.context import context_of
from infra.http.problems import Problem
from infra.http.thin_route import ReadyResponse, ThinRoute
from infra.ids import parse_uuid
from infra.partitioning import partition_of

PREFIX: Final = "/api/v1/orders"
_SCOPE_OF_STATUS: Final = {
    Status.AUTHORIZED: "orders:authorize",
    Status.CAPTURED: "orders:capture",
    Status.CANCELED: "orders:cancel",
    Status.SETTLED: "settlements:write",
}
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", problems.PROBLEM_JSON)
_REPLAYED: Final = (b"idempotency-replayed", b"true")

router = APIRouter(route_class=ThinRoute)


class _Accepted(NamedTuple):
    """A request that is well-formed: who, what, under which key. Whether the body fits is not known yet."""

    request: Request
    caller: Caller
    body: JsonBody


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
    accepted = await _accept(request, principal, is_body_optional=False)
    body = models.parse_body(models.CreateOrderBody, accepted.body.value)
    order_id = OrderId(clock.new_id())
    tenant = accepted.caller.tenant
    return await _answer(accepted, "create", partial(models.create_order, body, order_id, tenant), status=201)


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
    order_id, accepted = _order_id(request), await _accept(request, principal)
    models.parse_body(models.NothingBody, accepted.body.value)
    return await _answer(accepted, "authorize", lambda now: Authorize(order_id, now))


@router.post(
    PREFIX + "/{order_id}/captures",
    operation_id="capture_order",
    summary="Capture what is authorized",
    tags=["orders"],
    dependencies=[Depends(declared.verb)],
    responses=declared.CHANGED,
)
async def capture(request: Request, principal: Annotated[Principal, requires("orders:capture")]) -> Response:
    """Take all that is authorized; this is the order's only capture."""
    order_id, accepted = _order_id(request), await _accept(request, principal)
    models.parse_body(models.NothingBody, accepted.body.value)
    return await _answer(accepted, "capture", lambda now: Capture(order_id, now))


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
    order_id, accepted = _order_id(request), await _accept(request, principal)
    body = models.parse_body(models.CancelBody, accepted.body.value)
    return await _answer(accepted, "cancel", lambda now: Cancel(order_id, body.reason, now))


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
    """Do what leads to the status: authorize, capture all, or cancel. The status it has already changes nothing.

    The key needs the scope of the verb that leads to the status asked for.
    """
    order_id, accepted = _order_id(request), await _accept(request, principal, is_body_optional=False)
    body = models.parse_body(models.SetStatusBody, accepted.body.value)
    status = models.parse_status(body)
    scope = _SCOPE_OF_STATUS.get(status)
    if scope is not None and scope not in principal.scopes:
        raise Problem(problems.SCOPE_MISSING, members={"required_scopes": [scope]})
    return await _answer(accepted, "set_status", lambda now: SetStatus(order_id, status, body.reason, now))


def _order_id(request: Request) -> OrderId:
    """Give the id in the path. What is not one of ours does not exist: the same 404 as for an unknown id."""
    found = parse_uuid(request.path_params["order_id"])
    if found is None:
        raise Problem(problems.NOT_FOUND)
    return OrderId(found)


async def _accept(request: Request, principal: Principal, *, is_body_optional: bool = True) -> _Accepted:
    context, state = context_of(request), state_of(request)
    tenant = principal.tenant
    key = parse_key(context.header(HEADER))
    body = await read_json(request, state["bodies"], is_optional=is_body_optional)
    path = request.scope["path"]
    caller = Caller(
        tenant=tenant,
        key_id=principal.key_id,
        idempotency_key=key,
        fingerprint=fingerprint(request.method, path, body.canonical),
        path=path,
        request_id=context.request_id,
        traceparent=context.traceparent,
    )
    return _Accepted(request, caller, body)


async def _answer(accepted: _Accepted, kind: str, make: MakeCommand, *, status: int = 200) -> Response:
    state, context = state_of(accepted.request), context_of(accepted.request)
    context.log_event = "command.handled"
    context.log_fields["command"] = kind
    outcome = "error"
    try:
        answer = await handle(state["writes"], accepted.caller, make, status=status)
        outcome = _outcome(answer)
    except Problem:
        outcome = "refused"
        raise
    finally:
        state["metrics"].count(kind, outcome)
    order_id = str(answer.order_id)
    fields = context.log_fields
    fields["order_id"] = order_id
    fields["position"] = answer.position
    fields["replayed"] = answer.replayed
    fields["code"] = answer.code
    return _response(answer, order_id, state["partitions"])


def _outcome(answer: Answer) -> str:
    if answer.replayed:
        return "replayed"
    return "done" if answer.status < 400 else "refused"  # noqa: PLR2004  # where HTTP's errors begin


def _response(answer: Answer, order_id: str, partitions: int) -> Response:
    headers = [_REPLAYED] if answer.replayed else []
    if answer.status >= 400:  # noqa: PLR2004  # where HTTP's errors begin
        headers.append(_PROBLEM)
        return ReadyResponse(answer.body, answer.status, headers)
    headers.append(_JSON)
    headers.append((b"etag", b'"%d"' % answer.version))
    partition = partition_of(order_id, partitions)
    headers.append((b"consistency-token", b"%d.%d" % (partition, answer.position)))
    if answer.status == 201:  # noqa: PLR2004  # Created
        headers.append((b"location", f"{PREFIX}/{order_id}".encode("ascii")))
    return ReadyResponse(answer.body, answer.status, headers)
