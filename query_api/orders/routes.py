"""Orders: one, a list, the timeline of one and its notes.

A new filter of the list is a field of `OrderFilters` and a condition in `queries.ORDER_FILTERS`.
"""

from datetime import datetime
from typing import Annotated, Any, Final

import asyncpg
import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import AfterValidator, BaseModel, Field, PlainValidator, ValidationInfo

from domain import text
from domain.order.status import Status
from infra.etags import ETags, parse_etags
from infra.http import addresses
from infra.http.auth import requires
from infra.http.context import context_of
from infra.http.cursors import RowKey
from infra.http.problems import CURSOR_INVALID, NOT_FOUND, Problem
from infra.http.server.raw_route import RawRequest, RawRoute, ReadyResponse
from infra.http.strict_route import StrictRoute
from infra.http.validation import coded
from query_api.freshness import ORDER_TIMELINE, ORDERS
from query_api.orders import queries
from query_api.orders.responses import Note, NotePage, OrderPage, ShownOrder, TimelineEntry, TimelinePage, shown_order
from query_api.parameters import ConsistencyToken, OrderId, Timestamp
from query_api.problems import FIELD_CODES, IF_NONE_MATCH_MALFORMED, refused_as
from query_api.reading import Pages, Reads, open_read, read_responses
from query_api.tokens import Token

READS_ORDERS: Final = requires("orders:read", "dashboard:read", "audit:read")


def _etags(header: str) -> ETags:
    tags = parse_etags(header)
    if tags is None:
        raise Problem(IF_NONE_MATCH_MALFORMED)
    return tags


IfNoneMatch = Annotated[
    ETags | None,
    PlainValidator(_etags, json_schema_input_type=str | None),
    Header(description="ETags, strong or weak, or `*`; 304 when the order still has one of them.", examples=['"1"']),
]
OF_ORDER: Final = read_responses(NOT_FOUND, IF_NONE_MATCH_MALFORMED, headers=("ETag", "Consistency-Token"))
OF_ONE: Final = read_responses(CURSOR_INVALID, NOT_FOUND, headers=("Link",))

router = APIRouter(route_class=StrictRoute, tags=["orders"])
raw_router = APIRouter(route_class=RawRoute, tags=["orders"])
"""Routes whose speed is promised (decision 0040)."""


def _not_before_from(created_to: datetime | None, others: ValidationInfo) -> datetime | None:
    created_from = others.data.get("created_from")
    if created_from is not None and created_to is not None and created_from > created_to:
        raise coded("range_reversed", FIELD_CODES["range_reversed"])
    return created_to


class OrderFilters(BaseModel):
    """What a list of orders can be narrowed by; each has its condition in `queries.ORDER_FILTERS`."""

    status: Annotated[
        Status | None, refused_as("status_invalid"), Field(description="Only orders in this status now.")
    ] = None
    created_from: Annotated[Timestamp | None, Field(description="Created at this instant or later.")] = None
    created_to: Annotated[
        Timestamp | None,
        AfterValidator(_not_before_from),
        Field(description="Created before this instant, which is not before `created_from`."),
    ] = None
    external_reference: Annotated[
        Annotated[
            str,
            Field(min_length=1, max_length=text.MAX_EXTERNAL_REFERENCE_CHARS),
            AfterValidator(text.external_reference),
        ]
        | None,
        refused_as("external_reference_invalid"),
        Field(description="The partner's own reference, exactly.", examples=["PO-2026-0042"]),
    ] = None


@router.get(
    addresses.ORDERS,
    operation_id="list_orders",
    summary="List orders",
    dependencies=[READS_ORDERS],
    response_model=OrderPage,
    responses=read_responses(CURSOR_INVALID, headers=("Link",)),
)
async def list_orders(
    request: Request, reads: Reads, page: Pages, filters: Annotated[OrderFilters, Query()]
) -> Response:
    """Return orders, newest first, to a key of the installation with their `partner_id`.

    A page may hold fewer than `limit` when orders are large; `has_more` counts.
    """
    read = await reads.open(ORDERS)
    values: dict[str, Any] = filters.model_dump(exclude_none=True)
    after = {} if page.after is None else {"after_at": page.after.instant, "after_id": page.after.id}
    query = queries.orders_page(frozenset(values), is_partner=read.is_partner, is_first=not after)
    rows = await read.rows(query, **values, **after, rows=page.rows)
    shown = rows[: page.limit]
    context_of(request).log_fields["rows"] = len(shown)
    has_more = bool(rows) and rows[0]["found"] > len(shown)
    next_cursor = page.next_cursor(_key(shown[-1])) if has_more else None
    body = b'{"data":[%b],"has_more":%b,"next_cursor":%b}' % (
        b",".join(shown_order(row, is_partner=read.is_partner) for row in shown),
        b"true" if has_more else b"false",
        orjson.dumps(next_cursor),
    )
    return reads.stored(body)


_JSON_LINE: Final = (b"content-type", b"application/json")


def _key(row: asyncpg.Record) -> RowKey:
    return RowKey.at(row["created_at"], row["order_id"])


@raw_router.get(
    addresses.ORDERS + "/{order_id}",
    operation_id="get_order",
    summary="Get one order",
    dependencies=[READS_ORDERS],
    response_model=ShownOrder,
    responses=OF_ORDER | {304: {"description": "The order still has this version."} | OF_ORDER[200]},
)
async def get_order(
    request: RawRequest,
    order_id: OrderId,
    consistency_token: ConsistencyToken = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the order exactly as the response to its last command showed it; `ETag` is its version.

    A key of the installation is also told whose order it is (`partner_id`).
    """
    read = await open_read(request, ORDERS, order_id, consistency_token)
    row = await read.row(queries.order_by_id(is_partner=read.is_partner), order_id=order_id)
    if row is None:
        raise read.not_found()
    read.note_order(order_id, row["partner_id"])
    version = str(row["version"])
    headers = {
        **read.headers,
        "etag": f'"{version}"',
        "consistency-token": str(Token(row["partition"], row["position"])),
    }
    if if_none_match is not None and _matches(if_none_match, version):
        return Response(status_code=304, headers=headers)
    lines = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    return ReadyResponse(shown_order(row, is_partner=read.is_partner), 200, [_JSON_LINE, *lines])


def _matches(if_none_match: ETags, version: str) -> bool:
    """Compare weakly (RFC 9110, 13.1.2)."""
    return if_none_match.is_any or version in if_none_match.strong or version in if_none_match.weak


@router.get(
    addresses.ORDERS + "/{order_id}/timeline",
    operation_id="get_order_timeline",
    summary="What happened to one order",
    dependencies=[READS_ORDERS],
    responses=OF_ONE,
)
async def get_timeline(order_id: OrderId, reads: Reads, page: Pages) -> TimelinePage:
    """Return the events of an order, oldest first: who, when, why, from which status to which.

    It is complete, so it shows that a note was added even if it is internal to the partner, and never the text of one.
    """
    read = await reads.open(ORDER_TIMELINE, order_id)
    query = queries.timeline_page(is_partner=read.is_partner)
    rows = await read.rows(query, order_id=order_id, after=page.after_number, rows=page.rows)
    if not rows and page.after is None:
        raise read.not_found()
    if rows:
        read.note_order(order_id, rows[0]["partner_id"])
    shown, next_cursor = page.cut(rows, lambda row: RowKey(row["sequence"], order_id))
    return TimelinePage.of([TimelineEntry.of(row) for row in shown], next_cursor)


@router.get(
    addresses.ORDERS + "/{order_id}/notes",
    operation_id="list_order_notes",
    summary="Notes on one order",
    dependencies=[READS_ORDERS],
    responses=OF_ONE,
)
async def list_notes(order_id: OrderId, reads: Reads, page: Pages) -> NotePage:
    """Return the notes on an order, oldest first. The text of one that was erased is null.

    A key of the partner sees all of them, one of the installation only those whose `visibility` is `partner`.
    """
    read = await reads.open(ORDER_TIMELINE, order_id)
    rows = await read.rows(
        queries.notes_page(is_partner=read.is_partner), order_id=order_id, after=page.after_number, rows=page.rows
    )
    of_order = rows or await read.rows(
        queries.timeline_page(is_partner=read.is_partner), order_id=order_id, after=0, rows=1
    )
    if not of_order:
        raise read.not_found()
    read.note_order(order_id, of_order[0]["partner_id"])
    shown, next_cursor = page.cut(rows, lambda row: RowKey(row["sequence"], order_id))
    return NotePage.of([Note.of(row) for row in shown], next_cursor)
