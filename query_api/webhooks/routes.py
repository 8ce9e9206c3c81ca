"""Webhook deliveries of a partner: which there are, how each went, and the id to send one again by.

A new filter of the list is a field of `DeliveryFilters` and a condition in `queries.DELIVERY_FILTERS`.
"""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from infra.http.addresses import WEBHOOK_DELIVERIES
from infra.http.auth import requires
from infra.http.cursors import RowKey
from infra.http.problems import CURSOR_INVALID, NOT_FOUND
from infra.http.strict_route import StrictRoute
from query_api.freshness import WEBHOOK_FANOUT
from query_api.parameters import DeliveryId, Id
from query_api.problems import refused_as
from query_api.reading import Pages, Reads, read_responses
from query_api.webhooks import queries
from query_api.webhooks.responses import Attempt, Delivery, DeliveryPage, DeliveryWithAttempts

READS_WEBHOOKS: Final = requires("webhooks:read")
DOCUMENT: Final = "webhook_delivery"

router = APIRouter(route_class=StrictRoute, tags=["webhooks"])


class DeliveryFilters(BaseModel):
    """What a list of deliveries can be narrowed by; each has its condition in `queries.DELIVERY_FILTERS`."""

    endpoint_id: Annotated[
        Id | None,
        refused_as("endpoint_id_invalid"),
        Field(description="Only deliveries to this endpoint.", examples=["019a8b5c-0000-7000-8000-000000000002"]),
    ] = None
    status: Annotated[
        Literal["pending", "delivered", "dead", "discarded"] | None,
        refused_as("status_invalid"),
        Field(description="Only deliveries in this status now."),
    ] = None


@router.get(
    WEBHOOK_DELIVERIES,
    operation_id="list_webhook_deliveries",
    summary="List webhook deliveries",
    dependencies=[READS_WEBHOOKS],
    responses=read_responses(CURSOR_INVALID, headers=("Link",)),
)
async def list_deliveries(reads: Reads, page: Pages, filters: Annotated[DeliveryFilters, Query()]) -> DeliveryPage:
    """Return deliveries, newest first; resend one with `POST /api/v1/webhook-deliveries/{id}/resend`."""
    read = await reads.open(WEBHOOK_FANOUT)
    values: dict[str, Any] = filters.model_dump(exclude_none=True)
    if filters.status is not None:  # one that is being sent right now counts as pending
        values["status"] = ["pending", "leased"] if filters.status == "pending" else [filters.status]
    after = {} if page.after is None else {"after_id": page.after.id}
    query = queries.deliveries_page(frozenset(values), is_first=not after)
    rows = await read.rows(query, **values, **after, rows=page.rows)
    shown, next_cursor = page.cut(rows, lambda row: RowKey(0, row["delivery_id"]))
    return DeliveryPage.of([Delivery.of(row, object=DOCUMENT) for row in shown], next_cursor)


@router.get(
    WEBHOOK_DELIVERIES + "/{delivery_id}",
    operation_id="get_webhook_delivery",
    summary="Get one webhook delivery with its attempts",
    dependencies=[READS_WEBHOOKS],
    responses=read_responses(NOT_FOUND),
)
async def get_delivery(delivery_id: DeliveryId, reads: Reads) -> DeliveryWithAttempts:
    """Return a delivery and its last hundred attempts, latest first."""
    read = await reads.open(WEBHOOK_FANOUT)
    row = await read.row(queries.delivery_by_id(), delivery_id=delivery_id)
    if row is None:
        raise read.not_found()
    attempts = await read.rows(queries.attempts_of_delivery(), delivery_id=delivery_id)
    return DeliveryWithAttempts.of(row, object=DOCUMENT, attempts=[Attempt.of(each) for each in attempts])
