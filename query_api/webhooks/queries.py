"""The statements about webhook deliveries. They are always those of one partner."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Integer,
    LargeBinary,
    SmallInteger,
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
)

from infra.postgres.sql import Query, compiled
from query_api.visibility import visible

MAX_ATTEMPTS_SHOWN: Final = 100

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
    column("response_body", LargeBinary),
    schema="harbor",
)

_IS_LEASED: Final = deliveries.c.state == literal("leased", Text)
_IS_PENDING: Final = or_(_IS_LEASED, deliveries.c.state == literal("pending", Text))
_DOCUMENT: Final = (
    deliveries.c.delivery_id.label("id"),
    case((_IS_LEASED, literal("pending", Text)), else_=deliveries.c.state).label("status"),
    case((_IS_PENDING, deliveries.c.next_attempt_at)).label("next_attempt_at"),
    *(column for column in deliveries.c if column.name not in {"state", "next_attempt_at"}),
)
"""The columns of a delivery; one that is being sent right now still counts as pending."""

DELIVERY_FILTERS: Final[Mapping[str, ColumnElement[bool]]] = {
    "status": deliveries.c.state == func.any(bindparam("status", type_=ARRAY(Text))),
    "endpoint_id": deliveries.c.endpoint_id == bindparam("endpoint_id", type_=Uuid),
}
"""The condition of each filter in `query_api.webhooks.routes.DeliveryFilters`, by its name."""


@cache
def deliveries_page(filters: frozenset[str], *, is_first: bool) -> Query:
    """Return a page of a partner's webhook deliveries, newest first."""
    conditions = [DELIVERY_FILTERS[name] for name in sorted(filters)]
    if not is_first:
        conditions.append(deliveries.c.delivery_id < bindparam("after_id", type_=Uuid))
    return compiled(
        select(*_DOCUMENT)
        .where(*visible(deliveries, is_partner=True), *conditions)
        .order_by(deliveries.c.delivery_id.desc())
        .limit(bindparam("rows", type_=Integer))
    )


@cache
def delivery_by_id() -> Query:
    """Return one webhook delivery of a partner."""
    own = visible(deliveries, is_partner=True)
    return compiled(select(*_DOCUMENT).where(deliveries.c.delivery_id == bindparam("delivery_id"), *own))


@cache
def attempts_of_delivery() -> Query:
    """Return the last attempts of one delivery of a partner, latest first."""
    own = deliveries.join(attempts, attempts.c.delivery_id == deliveries.c.delivery_id)
    return compiled(
        select(attempts, attempts.c.response_body.label("answer"))
        .select_from(own)
        .where(attempts.c.delivery_id == bindparam("delivery_id"), *visible(deliveries, is_partner=True))
        .order_by(attempts.c.attempt_id.desc())
        .limit(literal(MAX_ATTEMPTS_SHOWN, Integer))
    )
