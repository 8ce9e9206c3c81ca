"""What every order route does around its command: accept a well-formed request, handle it, answer with its bytes."""

from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from command_api.handling.appends import Caller
from command_api.handling.handle import MakeCommand, handle
from command_api.handling.idempotency import HEADER, fingerprint, parse_key
from command_api.handling.if_match import IF_MATCH, required_version, version_if_any
from command_api.handling.order_state_cache import Answer
from command_api.state import state_of
from domain.order.ids import OrderId
from infra.http import problems
from infra.http.auth import Principal
from infra.http.context import context_of
from infra.http.json_body import JsonBody, read_json
from infra.http.problems import Problem
from infra.http.server.raw_route import ReadyResponse
from infra.ids import parse_uuid
from infra.partitioning import partition_of

PREFIX: Final = "/api/v1/orders"
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", problems.PROBLEM_JSON)
_REPLAYED: Final = (b"idempotency-replayed", b"true")


class Accepted(NamedTuple):
    """A request that is well-formed: who, what, under which key. Whether the body fits is not known yet.

    `expected_version` is the one at which alone the client wants it done, if it says so.
    """

    request: Request
    caller: Caller
    body: JsonBody
    expected_version: int | None = None


def order_id_of(request: Request) -> OrderId:
    """Return the id in the path. What is not one of ours does not exist: the same 404 as for an unknown id."""
    found = parse_uuid(request.path_params["order_id"])
    if found is None:
        raise Problem(problems.NOT_FOUND)
    return OrderId(found)


async def accept_verb(request: Request, principal: Principal, *, is_body_optional: bool = True) -> Accepted:
    """Read a request that does something to an order, at whatever version it is unless If-Match names one.

    Raises:
        Problem: as `accept`; 412, an If-Match that no version of an order can have.
    """
    accepted = await accept(request, principal, is_body_optional=is_body_optional)
    return accepted._replace(expected_version=version_if_any(context_of(request).header(IF_MATCH)))


async def accept(request: Request, principal: Principal, *, is_body_optional: bool = False) -> Accepted:
    """Read a request of an order route.

    Raises:
        Problem: 400, its key or its JSON is not acceptable; 413, 415, 408 as `read_json`.
    """
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
    return Accepted(request, caller, body)


async def accept_edit(request: Request, principal: Principal) -> Accepted:
    """Read a request that edits what the client has seen: it says which version that was.

    Raises:
        Problem: as `accept`; 428, no If-Match; 412, an If-Match that no version of an order can have.
    """
    accepted = await accept(request, principal)
    return accepted._replace(expected_version=required_version(context_of(request).header(IF_MATCH)))


async def answer(accepted: Accepted, kind: str, make: MakeCommand, *, status: int = 200) -> Response:
    """Handle a command and give its answer; `kind` names it in metrics and logs.

    Raises:
        Problem, EventStoreError: as `handle`.
    """
    state, context = state_of(accepted.request), context_of(accepted.request)
    context.log_event = "command.handled"
    context.log_fields["command"] = kind
    outcome = "error"
    try:
        given = await handle(
            state["writes"], accepted.caller, make, status=status, expected_version=accepted.expected_version
        )
        outcome = _outcome(given)
    except Problem:
        outcome = "refused"
        raise
    finally:
        state["metrics"].count(kind, outcome)
    order_id = str(given.order_id)
    fields = context.log_fields
    fields["order_id"] = order_id
    fields["position"] = given.position
    fields["replayed"] = given.replayed
    fields["code"] = given.code
    return _response(given, order_id, state["partitions"])


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
