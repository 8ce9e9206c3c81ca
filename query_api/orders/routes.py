"""Orders: one, a list, the timeline of one and its notes."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import asyncpg
import orjson
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from infra.http.auth import Principal, requires
from infra.http.context import context_of
from infra.http.cursors import RowKey
from infra.http.server.declared_route import DeclaredRoute
from infra.ids import parse_uuid
from query_api.freshness import ORDER_TIMELINE, ORDERS
from query_api.orders import declared, queries
from query_api.pages import CURSOR, cursor_of, page
from query_api.parameters import MAX_REFERENCE, ORDER_STATUSES, Parameters, read_parameters
from query_api.reading import ReadContext, instant_text, open_read
from query_api.tokens import Token

PREFIX: Final = "/api/v1/orders"
NONE: Final[frozenset[str]] = frozenset()
LIST: Final = frozenset({"limit", CURSOR, "status", "created_from", "created_to", "external_reference"})
TIMELINE: Final = frozenset({"limit", CURSOR})
NOTES: Final = TIMELINE
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

ReadsOrders = Annotated[Principal, requires("orders:read", "dashboard:read", "audit:read")]
ReadsNotes = Annotated[Principal, requires("orders:read", "audit:read")]
"""What a partner's people write to each other is no dashboard's business."""

router = APIRouter(route_class=DeclaredRoute, tags=["orders"])


@router.get(
    PREFIX,
    operation_id="list_orders",
    summary="List orders",
    dependencies=[Depends(declared.list_orders)],
    responses=declared.ORDERS,
)
async def list_orders(request: Request, principal: ReadsOrders) -> Response:
    """Return orders, newest first. A page may hold fewer than `limit` when orders are large; `has_more` counts."""
    parameters = read_parameters(request.scope["query_string"], LIST)
    limit, filters = parameters.limit(), _filters(parameters)
    read = await open_read(request, principal, ORDERS)
    after = cursor_of(read, parameters)
    if after is not None:
        filters[CURSOR] = None
    values = {name: value for name, value in filters.items() if value is not None} | read.visibility.values
    if after is not None:
        values |= {"after_at": _EPOCH + after.number * _MICROSECOND, "after_id": after.id}
    query = queries.orders_page(frozenset(filters), is_partner=principal.partner_id is not None)
    rows = await read.state["reads"].rows(query, {**values, "rows": limit + 1})
    has_more = bool(rows) and (len(rows) > limit or rows[0]["found"] > len(rows))
    shown = rows[:limit]
    context_of(request).log_fields["rows"] = len(shown)
    return page(read, parameters, [row["document"] for row in shown], _key(shown[-1]) if has_more else None)


@router.get(
    PREFIX + "/{order_id}",
    operation_id="get_order",
    summary="Get one order",
    dependencies=[Depends(declared.get_order)],
    responses=declared.ORDER,
)
async def get_order(request: Request, principal: ReadsOrders) -> Response:
    """Return the order as its last command answered it; `ETag` is its version."""
    read_parameters(request.scope["query_string"], NONE)
    order_id, read = await _open_read_of_one(request, principal, ORDERS)
    query = queries.order_by_id(is_partner=principal.partner_id is not None)
    row = await read.state["reads"].row(query, {"order_id": order_id, **read.visibility.values})
    if row is None:
        raise read.not_found()
    _note(request, row["partner_id"], order_id)
    etag = f'"{row["version"]}"'
    headers = {"etag": etag, "consistency-token": str(Token(row["partition"], row["position"]))}
    if _matches(context_of(request).header(b"if-none-match"), etag):
        return Response(status_code=304, headers={**read.headers, **headers})
    return read.answer(row["document"], headers)


@router.get(
    PREFIX + "/{order_id}/timeline",
    operation_id="get_order_timeline",
    summary="What happened to one order",
    dependencies=[Depends(declared.timeline)],
    responses=declared.TIMELINE,
)
async def get_timeline(request: Request, principal: ReadsOrders) -> Response:
    """Return the events of an order, oldest first: who, when, why, from which status to which."""
    parameters = read_parameters(request.scope["query_string"], TIMELINE)
    limit = parameters.limit()
    order_id, read = await _open_read_of_one(request, principal, ORDER_TIMELINE)
    after = cursor_of(read, parameters)
    values = {"order_id": order_id, "after": 0 if after is None else after.number, "rows": limit + 1}
    query = queries.timeline_page(is_partner=principal.partner_id is not None)
    rows = await read.state["reads"].rows(query, {**values, **read.visibility.values})
    if not rows and after is None:
        raise read.not_found()
    shown = rows[:limit]
    if shown:
        _note(request, shown[0]["partner_id"], order_id)
    last = RowKey(shown[-1]["sequence"], order_id) if len(rows) > limit else None
    return page(read, parameters, [_entry(row) for row in shown], last)


@router.get(
    PREFIX + "/{order_id}/notes",
    operation_id="list_order_notes",
    summary="Notes on one order",
    dependencies=[Depends(declared.notes)],
    responses=declared.NOTES,
)
async def list_notes(request: Request, principal: ReadsNotes) -> Response:
    """Return the notes on an order, oldest first. The text of one that was erased is null."""
    parameters = read_parameters(request.scope["query_string"], NOTES)
    limit = parameters.limit()
    order_id, read = await _open_read_of_one(request, principal, ORDER_TIMELINE)
    after = cursor_of(read, parameters)
    is_partner = principal.partner_id is not None
    values = {"order_id": order_id, "after": 0 if after is None else after.number, **read.visibility.values}
    rows = await read.state["reads"].rows(queries.notes_page(is_partner=is_partner), {**values, "rows": limit + 1})
    of_order = rows or await read.state["reads"].rows(
        queries.timeline_page(is_partner=is_partner), {**values, "after": 0, "rows": 1}
    )
    if not of_order:
        raise read.not_found()
    _note(request, of_order[0]["partner_id"], order_id)
    shown = rows[:limit]
    last = RowKey(shown[-1]["sequence"], order_id) if len(rows) > limit else None
    return page(read, parameters, [_note_document(row) for row in shown], last)


async def _open_read_of_one(request: Request, principal: Principal, projection: str) -> tuple[UUID, ReadContext]:
    order_id = parse_uuid(request.path_params["order_id"])
    read = await open_read(request, principal, projection, order_id)
    if order_id is None:
        raise read.not_found()
    return order_id, read


def _filters(parameters: Parameters) -> dict[str, Any]:
    """Return the filters that are asked for, checked."""
    filters = {
        "status": parameters.choice("status", ORDER_STATUSES),
        "created_from": parameters.instant("created_from"),
        "created_to": parameters.instant("created_to"),
        "external_reference": parameters.text("external_reference", MAX_REFERENCE),
    }
    return {name: value for name, value in filters.items() if value is not None}


def _key(row: asyncpg.Record) -> RowKey:
    return RowKey((row["created_at"] - _EPOCH) // _MICROSECOND, row["order_id"])


def _matches(if_none_match: str | None, etag: str) -> bool:
    """Compare as RFC 9110 says for If-None-Match: weakly, against a list or `*`."""
    if if_none_match is None:
        return False
    given = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return etag in given or given == ["*"]


def _note(request: Request, partner_id: str, order_id: UUID) -> None:
    """Put on the log line what was looked at; for keys of the installation that line is the audit of the read."""
    fields = context_of(request).log_fields
    fields["order_id"] = str(order_id)
    fields["order_partner"] = partner_id


def _entry(row: asyncpg.Record) -> bytes:
    return orjson.dumps(
        {
            "sequence": row["sequence"],
            "type": row["type"],
            "event_id": str(row["event_id"]),
            "occurred_at": instant_text(row["occurred_at"]),
            "recorded_at": instant_text(row["recorded_at"]),
            "actor": orjson.Fragment(row["actor"]),
            "from": row["from_status"],
            "to": row["to_status"],
            "reason": row["reason"],
            "changes": orjson.Fragment(row["changes"]),
            "request_id": row["request_id"],
            "position": row["position"],
        }
    )


def _note_document(row: asyncpg.Record) -> bytes:
    return orjson.dumps(
        {
            "sequence": row["sequence"],
            "event_id": str(row["event_id"]),
            "occurred_at": instant_text(row["occurred_at"]),
            "actor": orjson.Fragment(row["actor"]),
            "visibility": row["visibility"],
            "note": row["note"],
        }
    )
