"""The webhook routes: endpoints are configuration and not events; a resend is an entry in the delivery queue."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BeforeValidator, Field

from command_api import errors
from command_api.state import state_of
from command_api.webhook_endpoints.bodies import WebhookEndpointBody, new_endpoint
from command_api.webhook_endpoints.store import (
    ResendOutcome,
    TooManyEndpointsError,
    WebhookEndpoint,
    WebhookEndpoints,
)
from domain.instants import Instant
from domain.order.document import Document
from infra.http import json_body, problems
from infra.http.addresses import WEBHOOK_DELIVERIES
from infra.http.auth import Principal, requires
from infra.http.context import context_of
from infra.http.cursors import Page, Paging, RowKey, paging
from infra.http.openapi.document import header, problem_responses
from infra.http.problems import Problem, ProblemType
from infra.http.strict_route import StrictRoute
from infra.ids import canonical_uuid
from infra.postgres.failures import UNAVAILABLE

ENDPOINTS: Final = "/api/v1/webhook-endpoints"

router = APIRouter(route_class=StrictRoute, tags=["webhooks"])

ReadsWebhooks = Annotated[Principal, requires("webhooks:read")]
ManagesWebhooks = Annotated[Principal, requires("webhooks:manage")]
EndpointId = Annotated[UUID, BeforeValidator(canonical_uuid), Path(description="the endpoint's id")]
DeliveryId = Annotated[UUID, BeforeValidator(canonical_uuid), Path(description="the delivery's id")]
Pages = Annotated[Paging, Depends(paging)]


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
    created_at: Instant

    @classmethod
    def of(cls, endpoint: WebhookEndpoint, **more: Any) -> Self:
        """Return an endpoint without its secret, except for what `more` adds."""
        values = asdict(endpoint) | {"id": endpoint.endpoint_id, "object": "webhook_endpoint"}
        return cls.model_validate({name: values[name] for name in WebhookEndpointDocument.model_fields} | more)


class CreatedWebhookEndpointDocument(WebhookEndpointDocument):
    """A new webhook endpoint; `secret` verifies its signatures and is shown this once."""

    secret: str = Field(examples=["whsec_c2VjcmV0IG9mIDMyIGJ5dGVzLCBzaG93biBvbmNlLi4u"])


class WebhookEndpointList(Page[WebhookEndpointDocument]):
    """A page of the endpoints of the partner in this mode, oldest first."""


class ResendDocument(Document):
    """A delivery that will be attempted again."""

    id: UUID
    object: Literal["webhook_delivery"]
    status: Literal["queued"]


_ENDPOINT_ADDRESS: Final = {
    "description": "the address of the new endpoint",
    "example": f"{ENDPOINTS}/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10",
}
_LOCATION: Final = {"headers": {"Location": header("Location") | _ENDPOINT_ADDRESS}}


def _responses(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    return problem_responses(*problems.EVERY_ROUTE, problems.PARTNER_KEY_REQUIRED, *kinds)


@router.post(
    ENDPOINTS,
    status_code=201,
    operation_id="create_webhook_endpoint",
    summary="Register a webhook endpoint",
    response_description="The new endpoint.",
    responses={201: _LOCATION, **_responses(*json_body.PROBLEMS, errors.TOO_MANY_WEBHOOK_ENDPOINTS)},
)
async def create_endpoint(
    request: Request, response: Response, body: WebhookEndpointBody, principal: ManagesWebhooks
) -> CreatedWebhookEndpointDocument:
    """Register where webhooks go. It gets all later events; its signing secret is shown in this response only."""
    tenant, config = principal.tenant, state_of(request)["webhooks"]
    wanted = new_endpoint(body, config.rules(livemode=tenant.livemode))
    async with _store(request) as store:
        try:
            created = await store.create(tenant, wanted)
        except TooManyEndpointsError:
            raise errors.too_many_webhook_endpoints(config.max_endpoints) from None
    endpoint_id = created.endpoint.endpoint_id
    context_of(request).log_fields["endpoint_id"] = str(endpoint_id)
    response.headers["location"] = f"{ENDPOINTS}/{endpoint_id}"
    return CreatedWebhookEndpointDocument.of(created.endpoint, secret=created.secret)


@router.get(
    ENDPOINTS,
    operation_id="list_webhook_endpoints",
    summary="List webhook endpoints",
    response_description="A page of endpoints, oldest first.",
    responses={200: {"headers": {"Link": header("Link")}}, **_responses(problems.CURSOR_INVALID)},
)
async def list_endpoints(request: Request, principal: ReadsWebhooks, page: Pages) -> WebhookEndpointList:
    """List the endpoints of this partner and mode, without their secrets."""
    after = None if page.after is None else page.after.id
    async with _store(request) as store:
        found = await store.list_page(principal.tenant, after=after, rows=page.rows)
    shown, next_cursor = page.cut(found, lambda endpoint: RowKey(0, endpoint.endpoint_id))
    return WebhookEndpointList.of([WebhookEndpointDocument.of(each) for each in shown], next_cursor)


@router.get(
    ENDPOINTS + "/{endpoint_id}",
    operation_id="get_webhook_endpoint",
    summary="Get one webhook endpoint",
    response_description="The endpoint.",
    responses=_responses(problems.NOT_FOUND),
)
async def get_endpoint(request: Request, endpoint_id: EndpointId, principal: ReadsWebhooks) -> WebhookEndpointDocument:
    """Return an endpoint without its secret."""
    async with _store(request) as store:
        found = await store.find(principal.tenant, endpoint_id)
    if found is None:
        raise Problem(problems.NOT_FOUND)
    return WebhookEndpointDocument.of(found)


@router.delete(
    ENDPOINTS + "/{endpoint_id}",
    status_code=204,
    operation_id="delete_webhook_endpoint",
    summary="Delete a webhook endpoint",
    response_description="It gets nothing more; what was queued for it is dropped.",
    responses=_responses(problems.NOT_FOUND),
)
async def delete_endpoint(request: Request, endpoint_id: EndpointId, principal: ManagesWebhooks) -> None:
    """Delete an endpoint: nothing more is sent to it, and its secret is forgotten."""
    async with _store(request) as store:
        if not await store.delete(principal.tenant, endpoint_id):
            raise Problem(problems.NOT_FOUND)
    context_of(request).log_fields["endpoint_id"] = str(endpoint_id)


@router.post(
    WEBHOOK_DELIVERIES + "/{delivery_id}/resend",
    status_code=202,
    operation_id="resend_webhook_delivery",
    summary="Send a webhook again",
    response_description="It will be sent again.",
    responses=_responses(problems.NOT_FOUND, errors.WEBHOOK_ENDPOINT_NOT_ENABLED),
)
async def resend(request: Request, delivery_id: DeliveryId, principal: ManagesWebhooks) -> ResendDocument:
    """Send one delivery again, whatever its status: the same id and the same bytes, with a new signature."""
    async with _store(request) as store:
        outcome = await store.resend(principal.tenant, delivery_id)
    match outcome:
        case ResendOutcome.NOT_FOUND:
            raise Problem(problems.NOT_FOUND)
        case ResendOutcome.ENDPOINT_NOT_ENABLED:
            raise Problem(errors.WEBHOOK_ENDPOINT_NOT_ENABLED)
        case ResendOutcome.QUEUED:
            return ResendDocument(id=delivery_id, object="webhook_delivery", status="queued")


@asynccontextmanager
async def _store(request: Request) -> AsyncIterator[WebhookEndpoints]:
    """Return the endpoints' store; an unreachable PostgreSQL becomes a 503."""
    state = state_of(request)
    config = state["webhooks"]
    try:
        yield WebhookEndpoints(state["database"].pool, config.box, max_per_tenant=config.max_endpoints)
    except UNAVAILABLE:
        raise Problem(problems.STORE_UNAVAILABLE) from None
