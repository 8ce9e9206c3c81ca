"""Webhook deliveries of a partner: which there are, how each went, and the id to send one again by."""

from typing import Annotated, Any, Final

import asyncpg
import orjson
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from infra.http.auth import Principal, requires
from infra.http.cursors import RowKey
from infra.http.server.declared_route import DeclaredRoute
from infra.ids import parse_uuid
from query_api.freshness import WEBHOOK_FANOUT
from query_api.orders import declared, queries
from query_api.pages import CURSOR, cursor_of, page
from query_api.parameters import DELIVERY_STATUSES, read_parameters
from query_api.reading import instant_text, open_read, optional_instant

PREFIX: Final = "/api/v1/webhook-deliveries"
LIST: Final = frozenset({"limit", CURSOR, "endpoint_id", "status"})
NONE: Final[frozenset[str]] = frozenset()

ReadsWebhooks = Annotated[Principal, requires("webhooks:read")]

router = APIRouter(route_class=DeclaredRoute, tags=["webhooks"])


@router.get(
    PREFIX,
    operation_id="list_webhook_deliveries",
    summary="List webhook deliveries",
    dependencies=[Depends(declared.list_deliveries)],
    responses=declared.DELIVERIES,
)
async def list_deliveries(request: Request, principal: ReadsWebhooks) -> Response:
    """Return deliveries, newest first; resend one with `POST /api/v1/webhook-deliveries/{id}/resend`."""
    parameters = read_parameters(request.scope["query_string"], LIST)
    limit = parameters.limit()
    status, endpoint_id = parameters.choice("status", DELIVERY_STATUSES), parameters.uuid("endpoint_id")
    read = await open_read(request, principal, WEBHOOK_FANOUT)
    after = cursor_of(read, parameters)
    values: dict[str, Any] = {**queries.tenant_values(principal.tenant), "rows": limit + 1}
    filters: set[str] = set()
    if status is not None:
        filters.add("status")
        values["states"] = [status, "leased"] if status == "pending" else [status]
    if endpoint_id is not None:
        filters.add("endpoint_id")
        values["endpoint_id"] = endpoint_id
    if after is not None:
        filters.add(CURSOR)
        values["after_id"] = after.id
    rows = await read.state["reads"].rows(queries.deliveries_page(frozenset(filters)), values)
    shown = rows[:limit]
    last = RowKey(0, shown[-1]["delivery_id"]) if len(rows) > limit else None
    return page(read, parameters, [orjson.dumps(_delivery(row)) for row in shown], last)


@router.get(
    PREFIX + "/{delivery_id}",
    operation_id="get_webhook_delivery",
    summary="Get one webhook delivery with its attempts",
    dependencies=[Depends(declared.get_delivery)],
    responses=declared.DELIVERY,
)
async def get_delivery(request: Request, principal: ReadsWebhooks) -> Response:
    """Return a delivery and its last hundred attempts, latest first."""
    read_parameters(request.scope["query_string"], NONE)
    delivery_id = parse_uuid(request.path_params["delivery_id"])
    read = await open_read(request, principal, WEBHOOK_FANOUT)
    if delivery_id is None:
        raise read.not_found()
    values = {**queries.tenant_values(principal.tenant), "delivery_id": delivery_id}
    reads = read.state["reads"]
    row = await reads.row(queries.delivery_by_id(), values)
    if row is None:
        raise read.not_found()
    attempts = await reads.rows(queries.attempts_of_delivery(), values)
    return read.answer(orjson.dumps({**_delivery(row), "attempts": [_attempt(each) for each in attempts]}))


def _delivery(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": str(row["delivery_id"]),
        "object": "webhook_delivery",
        "endpoint_id": str(row["endpoint_id"]),
        "event_id": str(row["event_id"]),
        "event_type": row["event_type"],
        "order_id": str(row["order_id"]),
        "sequence": row["sequence"],
        "status": "pending" if row["state"] == "leased" else row["state"],
        "attempt_count": row["attempt_count"],
        "next_attempt_at": instant_text(row["next_attempt_at"]) if row["state"] in {"pending", "leased"} else None,
        "last_outcome": row["last_outcome"],
        "last_status": row["last_status"],
        "first_attempt_at": optional_instant(row["first_attempt_at"]),
        "last_attempt_at": optional_instant(row["last_attempt_at"]),
        "created_at": instant_text(row["created_at"]),
    }


def _attempt(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "attempt": row["attempt"],
        "started_at": instant_text(row["started_at"]),
        "latency_ms": row["latency_ms"],
        "outcome": row["outcome"],
        "status": row["status"],
        "answer": row["answer"].decode("utf-8", "replace"),
    }
