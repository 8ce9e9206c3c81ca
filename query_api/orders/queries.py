"""Every statement of the query service. Each one carries whose data may be seen, by one function: `visible`.

Statements are built once per shape with SQLAlchemy Core over `projections.tables` and run by asyncpg. A list page is
bounded in rows and in bytes, because one order may have a thousand lines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    LargeBinary,
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

from infra.http.auth import Principal
from infra.postgres.sql import Query, compiled
from infra.tenancy import Tenant
from projections.tables import order_timeline, orders

MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
"""Documents of one page together; a page always has at least one."""
MAX_ATTEMPTS_SHOWN: Final = 100
NOTE_ADDED: Final = "order.note_added"

Values = Mapping[str, Any]

deliveries = table(
    "webhook_deliveries",
    column("delivery_id", Uuid),
    column("endpoint_id", Uuid),
    column("event_id", Uuid),
    column("tenant_id", Text),
    column("order_id", Uuid),
    column("event_type", Text),
    column("sequence", Integer),
    column("state", Text),
    column("attempt_count", Integer),
    column("next_attempt_at", DateTime(timezone=True)),
    column("last_outcome", Text),
    column("last_status", SmallInteger),
    column("first_attempt_at", DateTime(timezone=True)),
    column("last_attempt_at", DateTime(timezone=True)),
    column("created_at", DateTime(timezone=True)),
    schema="harbor",
)
attempts = table(
    "webhook_attempts",
    column("attempt_id", Uuid),
    column("delivery_id", Uuid),
    column("attempt", Integer),
    column("started_at", DateTime(timezone=True)),
    column("latency_ms", Integer),
    column("outcome", Text),
    column("status", SmallInteger),
    column("answer", LargeBinary),
    schema="harbor",
)
event_documents = table(
    "event_documents",
    column("position", BigInteger),
    column("log_id", SmallInteger),
    column("event_id", Uuid),
    column("payload", JSON),
    schema="harbor",
)


@dataclass(frozen=True, slots=True)
class Visibility:
    """Whose data a read may see: one partner's, or with None every partner's, always of one mode."""

    partner_id: str | None
    livemode: bool

    @classmethod
    def of(cls, principal: Principal) -> "Visibility":
        """Return the reach of an API key."""
        return cls(principal.partner_id, principal.livemode)

    @property
    def values(self) -> dict[str, Any]:
        """Return the arguments that `visible` asks for."""
        if self.partner_id is None:
            return {"livemode": self.livemode}
        return {"livemode": self.livemode, "partner_id": self.partner_id}


def visible(source: FromClause, *, is_partner: bool) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that hides what is not the asker's. There is no other place where it is decided."""
    if "tenant_id" in source.c:
        if not is_partner:
            raise ValueError("webhook deliveries are read with the key of their partner only")
        return (source.c.tenant_id == bindparam("tenant_id", type_=Text),)
    mode = source.c.livemode == bindparam("livemode")
    return (mode, source.c.partner_id == bindparam("partner_id")) if is_partner else (mode,)


@cache
def order_by_id(*, is_partner: bool) -> Query:
    """Return one order: document, version, position, partition."""
    columns = (orders.c.document, orders.c.version, orders.c.position, orders.c.partition, orders.c.partner_id)
    return compiled(
        select(*columns).where(orders.c.order_id == bindparam("order_id"), *visible(orders, is_partner=is_partner))
    )


@cache
def orders_page(filters: frozenset[str], *, is_partner: bool) -> Query:
    """Return a page of orders, newest first; `filters` names the conditions that are asked for."""
    after = tuple_(bindparam("after_at", type_=DateTime(timezone=True)), bindparam("after_id", type_=Uuid))
    conditions: dict[str, ColumnElement[bool]] = {
        "status": orders.c.status == bindparam("status"),
        "created_from": orders.c.created_at >= bindparam("created_from", type_=DateTime(timezone=True)),
        "created_to": orders.c.created_at < bindparam("created_to", type_=DateTime(timezone=True)),
        "external_reference": orders.c.external_reference == bindparam("external_reference"),
        "cursor": tuple_(orders.c.created_at, orders.c.order_id) < after,
    }
    page = (
        select(orders.c.created_at, orders.c.order_id, orders.c.document)
        .where(*visible(orders, is_partner=is_partner), *(conditions[name] for name in sorted(filters)))
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
    return (
        select(measured.c.created_at, measured.c.order_id, measured.c.document, measured.c.found)
        .where(or_(measured.c.bytes_so_far <= literal(MAX_PAGE_BYTES, BigInteger), measured.c.place == 1))
        .order_by(measured.c.place)
    )


@cache
def timeline_page(*, is_partner: bool) -> Query:
    """Return a page of the events of one order, oldest first, after a sequence number."""
    return compiled(
        select(order_timeline)
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
    """Return a page of the notes of one order, oldest first, after a sequence number.

    The text is read from the event itself: personal data has no second copy here that an erasure would have to find.
    Text that is not in the clear is null. The place of the event comes from the timeline, which says whose it is.
    """
    page = (
        select(order_timeline)
        .where(
            order_timeline.c.order_id == bindparam("order_id"),
            *visible(order_timeline, is_partner=is_partner),
            order_timeline.c.sequence > bindparam("after", type_=Integer),
            order_timeline.c.type == literal(NOTE_ADDED, Text),
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
    columns = (page.c.sequence, page.c.event_id, page.c.occurred_at, page.c.actor, page.c.partner_id)
    visibility = page.c.changes["visibility"].astext.label("visibility")
    return compiled(select(*columns, visibility, text.label("note")).order_by(page.c.sequence))


@cache
def deliveries_page(filters: frozenset[str]) -> Query:
    """Return a page of a partner's webhook deliveries, newest first."""
    conditions: dict[str, ColumnElement[bool]] = {
        "status": deliveries.c.state == func.any(bindparam("states", type_=ARRAY(Text))),
        "endpoint_id": deliveries.c.endpoint_id == bindparam("endpoint_id"),
        "cursor": deliveries.c.delivery_id < bindparam("after_id", type_=Uuid),
    }
    return compiled(
        select(deliveries)
        .where(*visible(deliveries, is_partner=True), *(conditions[name] for name in sorted(filters)))
        .order_by(deliveries.c.delivery_id.desc())
        .limit(bindparam("rows", type_=Integer))
    )


@cache
def delivery_by_id() -> Query:
    """Return one webhook delivery of a partner."""
    own = visible(deliveries, is_partner=True)
    return compiled(select(deliveries).where(deliveries.c.delivery_id == bindparam("delivery_id"), *own))


@cache
def attempts_of_delivery() -> Query:
    """Return the last attempts of one delivery of a partner, latest first."""
    own = deliveries.join(attempts, attempts.c.delivery_id == deliveries.c.delivery_id)
    return compiled(
        select(attempts)
        .select_from(own)
        .where(attempts.c.delivery_id == bindparam("delivery_id"), *visible(deliveries, is_partner=True))
        .order_by(attempts.c.attempt_id.desc())
        .limit(literal(MAX_ATTEMPTS_SHOWN, Integer))
    )


def tenant_values(tenant: Tenant) -> dict[str, Any]:
    """Return the argument that `visible` asks for on tables that are not read models."""
    return {"tenant_id": tenant.id}


SHARDS: Final = """
SELECT c.projection, c.partition, c.last_position, c.applied_count
FROM harbor.checkpoints AS c JOIN unnest($1::text[], $2::integer[]) AS served (projection, version)
  ON c.projection = served.projection AND c.version = served.version
"""
"""How far the projections this service reads have come. $1 names, $2 versions."""

HEAD: Final = "SELECT last_position FROM harbor.batches WHERE log_id = 0 ORDER BY last_position DESC LIMIT 1"
"""The last position of the log. Read after `SHARDS`: the comparison then errs to the safe side."""

NEXT_BATCHES: Final = """
SELECT b.last_position, b.committed_at
FROM unnest($1::bigint[]) AS counts (applied)
CROSS JOIN LATERAL (
    SELECT last_position, committed_at FROM harbor.batches
    WHERE log_id = 0 AND last_position > counts.applied ORDER BY last_position LIMIT 1
) AS b
"""
"""For each count of applied events ($1), the batch with which the log came to hold more."""

TABLES_EXIST: Final = "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest($1::text[]) AS name"
"""Whether all tables ($1) have been made."""
