"""What every route does around its command: accept a well-formed request, handle it, respond with the bytes."""

from typing import Annotated, Final, NamedTuple
from uuid import UUID

from fastapi import Depends, Header, Path
from pydantic import PlainValidator
from starlette.responses import Response

from command_api.errors import invalid_command
from command_api.handling.appends import Caller, CommandResponse
from command_api.handling.handle import MakeCommand, handle
from command_api.handling.idempotency import IdempotencyKey, fingerprint
from command_api.handling.if_match import IfMatch, OptionalIfMatch, Versions
from command_api.state import CommandState, state_of
from domain.order.errors import InvalidCommandError
from domain.order.ids import OrderId
from infra.http import problems
from infra.http.auth import principal_of
from infra.http.context import accepted_traceparent
from infra.http.problems import Problem
from infra.http.server.raw_route import RawRequest, ReadyResponse
from infra.ids import canonical_ids, parse_uuid
from infra.partitioning import partition_of
from infra.tenancy import Tenant

_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", problems.PROBLEM_JSON)
_REPLAYED: Final = (b"idempotency-replayed", b"true")
_CREATED: Final = 201
_REFUSED_FROM: Final = 400


def _order_id(text: str) -> OrderId:
    """Return the id in the path. What is not one of ours does not exist: the same 404 as for an unknown id."""
    found = parse_uuid(text)
    if found is None:
        raise Problem(problems.NOT_FOUND)
    return OrderId(found)


OrderIdPath = Annotated[
    OrderId,
    PlainValidator(_order_id, json_schema_input_type=UUID),
    Path(description="the order's id"),
]
Traceparent = Annotated[
    str | None,
    PlainValidator(accepted_traceparent, json_schema_input_type=str | None),
    Header(
        description="W3C Trace Context; kept on the events when valid.",
        examples=["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
    ),
]
"""The caller's trace by W3C Trace Context version 00; None when it is not valid."""


class CommandRequest(NamedTuple):
    """A well-formed request: who sends it, under which key. Whether its body fits its model is not known yet.

    `expected` are the only versions at which the client wants it done, if it names any.
    """

    request: RawRequest
    caller: Caller
    expected: Versions | None = None


async def _tenant(request: RawRequest) -> Tenant:
    return principal_of(request).tenant


PartnerTenant = Annotated[Tenant, Depends(_tenant)]
"""The partner and mode of the key; 403 for an installation key."""


async def _accept(
    request: RawRequest,
    tenant: PartnerTenant,
    idempotency_key: IdempotencyKey,
    traceparent: Traceparent = None,
) -> CommandRequest:
    """Read a request, except for what its body means.

    Raises:
        Problem: 403, 400, and as `RawRequest.strict_json`.
    """
    body = await request.strict_json()
    path = canonical_ids(request.scope["path"])
    caller = Caller(
        tenant=tenant,
        key_id=principal_of(request).key_id,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint(request.method, path, body.canonical),
        path=path,
        request_id=request.context.request_id,
        traceparent=traceparent,
        body=body.canonical,
    )
    return CommandRequest(request, caller)


NewOrderRequest = Annotated[CommandRequest, Depends(_accept)]
"""A request that makes an order."""


async def _accept_verb(command: NewOrderRequest, if_match: OptionalIfMatch = None) -> CommandRequest:
    return command._replace(expected=if_match)


VerbRequest = Annotated[CommandRequest, Depends(_accept_verb)]
"""A request that does something to an order, at any version unless If-Match names one."""


async def _accept_edit(command: NewOrderRequest, if_match: IfMatch) -> CommandRequest:
    return command._replace(expected=if_match)


EditRequest = Annotated[CommandRequest, Depends(_accept_edit)]
"""A request that edits what the client has seen: If-Match names that version."""


async def respond(command: CommandRequest, kind: str, make: MakeCommand, *, status: int = 200) -> Response:
    """Handle a command and return its response; `kind` names it in metrics and logs.

    Raises:
        Problem, EventStoreError: as `handle`; 422 for values that break rules.
    """
    state, context = state_of(command.request), command.request.context
    context.log_event = "command.handled"
    context.log_fields["command"] = kind
    outcome = "error"
    try:
        response = await handle(state["writes"], command.caller, make, status=status, expected=command.expected)
        outcome = "replayed" if response.replayed else "done" if response.status < _REFUSED_FROM else "refused"
    except Problem:
        outcome = "refused"
        raise
    except InvalidCommandError as error:
        outcome = "refused"
        raise invalid_command(error) from None
    finally:
        state["metrics"].count(kind, outcome)
    order_id = str(response.order_id)
    context.log_fields.update(
        order_id=order_id, position=response.position, replayed=response.replayed, code=response.code
    )
    return _http_response(response, order_id, state)


def _http_response(response: CommandResponse, order_id: str, state: CommandState) -> Response:
    headers = [_REPLAYED] if response.replayed else []
    if response.status >= _REFUSED_FROM:
        return ReadyResponse(response.body, response.status, [*headers, _PROBLEM])
    token = b"%d.%d" % (partition_of(order_id, state["partitions"]), response.position)
    headers += [_JSON, (b"etag", b'"%d"' % response.version), (b"consistency-token", token)]
    if response.status == _CREATED:
        headers.append((b"location", f"{state['orders_url']}/{order_id}".encode("ascii")))
    return ReadyResponse(response.body, response.status, headers)
