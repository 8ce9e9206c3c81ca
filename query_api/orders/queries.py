"""The statements about orders. Each one carries whose data may be seen, from `query_api.visibility`.

Statements are built once per shape with SQLAlchemy Core over `projections.tables` and run by asyncpg. A list page is
bounded in rows and in bytes, because one order may have a thousand lines.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Select,
    SmallInteger,
    Subquery,
    Text,
    Uuid,
    bindparam,
    case,
    column,
    func,
    literal,
    or_,
    select,
    table,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSON

from infra.postgres.sql import Query, compiled
from projections.tables import order_timeline, orders
from query_api.visibility import visible, visible_notes

MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
"""Documents of one page together; a page always has at least one."""
NOTE_ADDED: Final = "order.note_added"

event_documents = table(
    "event_documents",
    column("position", BigInteger),
    column("log_id", SmallInteger),
    column("event_id", Uuid),
    column("payload", JSON),
    schema="harbor",
)
api_keys = table(
    "api_keys",
    column("key_id", Text),
    column("partner_id", Text),
    column("livemode", Boolean),
    column("label", Text),
    schema="harbor",
)


def _named_actor(events: FromClause) -> ColumnElement[Any]:
    """Return the actor of each event with the label of its key: one look-up by id, and only of the owner's keys."""
    label = (
        select(func.nullif(api_keys.c.label, literal("", Text)))
        .where(
            api_keys.c.key_id == events.c.actor["key_id"].astext,
            api_keys.c.partner_id == events.c.partner_id,
            api_keys.c.livemode == events.c.livemode,
        )
        .scalar_subquery()
    )
    return events.c.actor.op("||")(func.jsonb_build_object(literal("label", Text), label)).label("actor")


@cache
def order_by_id(*, is_partner: bool) -> Query:
    """Return one order: document, version, position, partition."""
    columns = (orders.c.document, orders.c.version, orders.c.position, orders.c.partition, orders.c.partner_id)
    return compiled(
        select(*columns).where(orders.c.order_id == bindparam("order_id"), *visible(orders, is_partner=is_partner))
    )


_INSTANT: Final = DateTime(timezone=True)
_AFTER: Final = tuple_(bindparam("after_at", type_=_INSTANT), bindparam("after_id", type_=Uuid))
ORDER_FILTERS: Final[Mapping[str, ColumnElement[bool]]] = {
    "status": orders.c.status == bindparam("status"),
    "created_from": orders.c.created_at >= bindparam("created_from", type_=_INSTANT),
    "created_to": orders.c.created_at < bindparam("created_to", type_=_INSTANT),
    "external_reference": orders.c.external_reference == bindparam("external_reference"),
}
"""The condition of each filter in `query_api.orders.routes.OrderFilters`, by its name."""


@cache
def orders_page(filters: frozenset[str], *, is_partner: bool, is_first: bool) -> Query:
    """Return a page of orders, newest first; `filters` names the conditions that are asked for."""
    conditions = [ORDER_FILTERS[name] for name in sorted(filters)]
    if not is_first:
        conditions.append(tuple_(orders.c.created_at, orders.c.order_id) < _AFTER)
    page = (
        select(orders.c.created_at, orders.c.order_id, orders.c.partner_id, orders.c.document)
        .where(*visible(orders, is_partner=is_partner), *conditions)
        .order_by(orders.c.created_at.desc(), orders.c.order_id.desc())
        .limit(bindparam("rows", type_=Integer))
        .subquery("page")
    )
    return compiled(_within_bytes(page))


def _within_bytes(page: Subquery) -> Select[Any]:
    """Return the first rows of a page up to `MAX_PAGE_BYTES`, one at least, and how many rows the page had (`found`).

    The size of a document is known without reading it, so what is left out is never loaded.
    """
    order = (page.c.created_at.desc(), page.c.order_id.desc())
    size = func.octet_length(page.c.document, type_=BigInteger)
    measured = select(
        page,
        func.sum(size).over(order_by=order, rows=(None, 0)).label("bytes_so_far"),
        func.row_number().over(order_by=order).label("place"),
        func.count().over().label("found"),
    ).subquery("measured")
    shown = (measured.c.created_at, measured.c.order_id, measured.c.partner_id, measured.c.document, measured.c.found)
    return (
        select(*shown)
        .where(or_(measured.c.bytes_so_far <= literal(MAX_PAGE_BYTES, BigInteger), measured.c.place == 1))
        .order_by(measured.c.place)
    )


@cache
def timeline_page(*, is_partner: bool) -> Query:
    """Return a page of the events of one order, oldest first, after a sequence number."""
    statuses = order_timeline.c.from_status.label("from"), order_timeline.c.to_status.label("to")
    others = (each for each in order_timeline.c if each.name != "actor")
    return compiled(
        select(*others, _named_actor(order_timeline), *statuses)
        .where(
            order_timeline.c.order_id == bindparam("order_id"),
            *visible(order_timeline, is_partner=is_partner),
            order_timeline.c.sequence > bindparam("after", type_=Integer),
        )
        .order_by(order_timeline.c.sequence)
        .limit(bindparam("rows", type_=Integer))
    )


@cache
def notes_page(*, is_partner: bool) -> Query:
    """Return a page of the notes of one order that the caller may see, oldest first, after a sequence number.

    The text is read from the event itself: personal data has no second copy here that an erasure would have to find.
    Text that is not in the clear is null. The place of the event comes from the timeline, which says whose it is.
    """
    visibility = order_timeline.c.changes["visibility"].astext
    page = (
        select(order_timeline, visibility.label("visibility"))
        .where(
            order_timeline.c.order_id == bindparam("order_id"),
            *visible(order_timeline, is_partner=is_partner),
            order_timeline.c.sequence > bindparam("after", type_=Integer),
            order_timeline.c.type == literal(NOTE_ADDED, Text),
            *visible_notes(visibility, is_partner=is_partner),
        )
        .order_by(order_timeline.c.sequence)
        .limit(bindparam("rows", type_=Integer))
        .subquery("page")
    )
    personal = event_documents.c.payload[("data", "personal")]
    # One look-up by position for each row of the page: no join that a plan could turn round.
    text = (
        select(case((personal["scheme"].astext == literal("clear", Text), personal["note"].astext)))
        .where(
            event_documents.c.position == page.c.position,
            event_documents.c.log_id == literal(0, SmallInteger),
            event_documents.c.event_id == page.c.event_id,
        )
        .scalar_subquery()
    )
    columns = (page.c.sequence, page.c.event_id, page.c.occurred_at, page.c.partner_id, page.c.visibility)
    return compiled(select(*columns, _named_actor(page), text.label("note")).order_by(page.c.sequence))
