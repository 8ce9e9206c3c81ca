"""The webhook routes: endpoints are configuration and not events; a resend is a wish to the delivery queue."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from command_api import errors
from command_api.handling.bodies import parse_body
from command_api.orders.responses import Responses
from command_api.state import state_of
from command_api.webhook_endpoints.bodies import WebhookEndpointBody, new_endpoint
from domain.instants import instant_text
from domain.order.document import Document
from infra.http import json_body, problems
from infra.http.app import problem_responses
from infra.http.auth import Principal, requires
from infra.http.context import context_of
from infra.http.json_body import read_json
from infra.http.problems import Problem, ProblemType
from infra.http.server.declared_route import DeclaredRoute
from infra.ids import parse_uuid
from infra.postgres.failures import AWAY
from infra.postgres.webhook_endpoints import (
    ResendAnswer,
    TooManyEndpointsError,
    WebhookEndpoint,
    WebhookEndpoints,
)
from infra.security.net_guard.target import AddressRules

ENDPOINTS: Final = "/api/v1/webhook-endpoints"
DELIVERIES: Final = "/api/v1/webhook-deliveries"

router = APIRouter(route_class=DeclaredRoute, tags=["webhooks"])


class WebhookEndpointDocument(Document):
    """A webhook endpoint."""

    id: UUID
    object: Literal["webhook_endpoint"]
    url: str = Field(examples=["https://example.com/webhooks"])
    description: str = Field(examples=["order desk"])
    event_types: list[str] = Field(examples=[["order.*"]])
    payload: Literal["snapshot", "thin"]
    livemode: bool
    status: Literal["enabled", "disabled", "misconfigured"]
    status_reason: str | None
    created_at: datetime


class CreatedWebhookEndpointDocument(WebhookEndpointDocument):
    """A new webhook endpoint; `secret` verifies its signatures and is shown this once."""

    secret: str = Field(examples=["whsec_c2VjcmV0IG9mIDMyIGJ5dGVzLCBzaG93biBvbmNlLi4u"])


class WebhookEndpointList(Document):
    """All endpoints of the partner in this mode, oldest first."""

    data: list[WebhookEndpointDocument]
    has_more: Literal[False]
    next_cursor: None


class ResendDocument(Document):
    """A delivery that will be attempted again."""

    id: UUID
    object: Literal["webhook_delivery"]
    status: Literal["queued"]


def _new_endpoint(body: WebhookEndpointBody) -> None:
    """Declare what POST /webhook-endpoints takes."""


def _endpoint(endpoint_id: Annotated[UUID, Path(description="the endpoint's id, in lower case")]) -> None:
    """Declare what a route of one endpoint takes."""


def _delivery(delivery_id: Annotated[UUID, Path(description="the delivery's id, in lower case")]) -> None:
    """Declare what a route of one delivery takes."""


_ANY: Final = (*problems.EVERY_ROUTE, problems.PARTNER_KEY_REQUIRED)


def _answers(status: int, model: type[Document] | None, description: str, *kinds: ProblemType) -> Responses:
    success: dict[str, Any] = {"description": description}
    if model is not None:
        success["model"] = model
    return {status: success, **problem_responses(*_ANY, *kinds)}


@router.post(
    ENDPOINTS,
    status_code=201,
    operation_id="create_webhook_endpoint",
    summary="Register a webhook endpoint",
    dependencies=[Depends(_new_endpoint)],
    responses=_answers(
        201, CreatedWebhookEndpointDocument, "The new endpoint.", *json_body.PROBLEMS, errors.TOO_MANY_WEBHOOK_ENDPOINTS
    ),
)
async def create_endpoint(request: Request, principal: Annotated[Principal, requires("webhooks:manage")]) -> Response:
    """Register where webhooks go. It gets the events after this; its signing secret is shown in this answer only."""
    tenant, state = principal.tenant, state_of(request)
    bodies, config = state["bodies"], state["webhooks"]
    read = await read_json(request, bodies)
    body = parse_body(WebhookEndpointBody, read.value)
    rules = AddressRules.for_mode(livemode=tenant.livemode, allow_networks=config.allow_networks)
    wish = new_endpoint(body, rules)
    async with _store(request) as store:
        try:
            created = await store.create(tenant, wish)
        except TooManyEndpointsError:
            raise Problem(errors.TOO_MANY_WEBHOOK_ENDPOINTS) from None
    context_of(request).log_fields["endpoint_id"] = str(created.endpoint.endpoint_id)
    document = _document(created.endpoint) | {"secret": created.secret}
    return _json(201, document, {"location": f"{ENDPOINTS}/{created.endpoint.endpoint_id}"})


@router.get(
    ENDPOINTS,
    operation_id="list_webhook_endpoints",
    summary="List webhook endpoints",
    responses=_answers(200, WebhookEndpointList, "All endpoints, oldest first."),
)
async def list_endpoints(request: Request, principal: Annotated[Principal, requires("webhooks:read")]) -> Response:
    """List the endpoints of this partner and mode, without their secrets."""
    tenant = principal.tenant
    async with _store(request) as store:
        found = await store.list_all(tenant)
    return _json(200, {"data": [_document(each) for each in found], "has_more": False, "next_cursor": None})


@router.delete(
    ENDPOINTS + "/{endpoint_id}",
    status_code=204,
    operation_id="delete_webhook_endpoint",
    summary="Delete a webhook endpoint",
    dependencies=[Depends(_endpoint)],
    responses=_answers(204, None, "It gets nothing more; what was queued for it is dropped.", problems.NOT_FOUND),
)
async def delete_endpoint(request: Request, principal: Annotated[Principal, requires("webhooks:manage")]) -> Response:
    """Delete an endpoint: nothing more is sent to it, and its secret is forgotten."""
    tenant, endpoint_id = principal.tenant, _id(request, "endpoint_id")
    async with _store(request) as store:
        deleted = await store.delete(tenant, endpoint_id)
    if not deleted:
        raise Problem(problems.NOT_FOUND)
    context_of(request).log_fields["endpoint_id"] = str(endpoint_id)
    return Response(status_code=204)


@router.post(
    DELIVERIES + "/{delivery_id}/resend",
    status_code=202,
    operation_id="resend_webhook_delivery",
    summary="Send a webhook again",
    dependencies=[Depends(_delivery)],
    responses=_answers(
        202, ResendDocument, "It will be sent again.", problems.NOT_FOUND, errors.WEBHOOK_ENDPOINT_NOT_ENABLED
    ),
)
async def resend(request: Request, principal: Annotated[Principal, requires("webhooks:manage")]) -> Response:
    """Send one delivery again, whatever became of it before: the same id and the same bytes, signed anew."""
    tenant, delivery_id = principal.tenant, _id(request, "delivery_id")
    async with _store(request) as store:
        answer = await store.resend(tenant, delivery_id)
    match answer:
        case ResendAnswer.NOT_FOUND:
            raise Problem(problems.NOT_FOUND)
        case ResendAnswer.ENDPOINT_NOT_ENABLED:
            raise Problem(errors.WEBHOOK_ENDPOINT_NOT_ENABLED)
        case ResendAnswer.QUEUED:
            return _json(202, {"id": str(delivery_id), "object": "webhook_delivery", "status": "queued"})


@asynccontextmanager
async def _store(request: Request) -> AsyncIterator[WebhookEndpoints]:
    """Return the endpoints' store; what PostgreSQL raises when it is away becomes a 503."""
    state = state_of(request)
    config = state["webhooks"]
    try:
        yield WebhookEndpoints(state["database"].pool, config.box, max_per_tenant=config.max_endpoints)
    except AWAY:
        raise Problem(problems.STORE_UNAVAILABLE) from None


def _id(request: Request, name: str) -> UUID:
    """Return an id in the path. What is not one of ours does not exist: the same 404 as for an unknown id."""
    found = parse_uuid(request.path_params[name])
    if found is None:
        raise Problem(problems.NOT_FOUND)
    return found


def _document(endpoint: WebhookEndpoint) -> dict[str, object]:
    return {
        "id": str(endpoint.endpoint_id),
        "object": "webhook_endpoint",
        "url": endpoint.url,
        "description": endpoint.description,
        "event_types": list(endpoint.event_types),
        "payload": endpoint.payload,
        "livemode": endpoint.livemode,
        "status": endpoint.status,
        "status_reason": endpoint.status_reason,
        "created_at": instant_text(endpoint.created_at),
    }


def _json(status: int, document: dict[str, object], headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers, media_type="application/json")
