"""Every read-model table on one screen: the only module of this package that the query service may import.

Read models are rebuilt, never migrated: `python -m projections create-tables` creates what is missing. The webhook
queue is not here: it is durable state, in the migrations (`infra/postgres/migrations`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(schema="harbor_read")

ORDERS_VERSION = 1
ORDER_TIMELINE_VERSION = 1

orders = Table(
    f"orders_v{ORDERS_VERSION}",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("partner_id", Text, nullable=False),
    Column("livemode", Boolean, nullable=False),
    Column("version", Integer, nullable=False, comment="stream version of the last event applied"),
    Column("position", BigInteger, nullable=False, comment="global position of the last event applied"),
    Column("partition", SmallInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("external_reference", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("document", LargeBinary, nullable=False, comment="the order as JSON, byte for byte what is served"),
    Column("state", LargeBinary, nullable=False, comment="folded OrderState as JSON, where the next fold starts"),
    # Lists: one partner (or, for installation keys, all), newest first; order_id breaks ties of created_at.
    Index(f"orders_v{ORDERS_VERSION}_by_partner", "partner_id", "livemode", "created_at", "order_id"),
    Index(f"orders_v{ORDERS_VERSION}_by_partner_status", "partner_id", "livemode", "status", "created_at", "order_id"),
    Index(f"orders_v{ORDERS_VERSION}_by_created", "livemode", "created_at", "order_id"),
    Index(f"orders_v{ORDERS_VERSION}_by_reference", "partner_id", "livemode", "external_reference"),
)

order_timeline = Table(
    f"order_timeline_v{ORDER_TIMELINE_VERSION}",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("sequence", Integer, primary_key=True, comment="stream version"),
    Column("position", BigInteger, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("partner_id", Text, nullable=False),
    Column("livemode", Boolean, nullable=False),
    Column("type", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("actor", JSONB, nullable=False, comment="{type, id, key_id}"),
    Column("from_status", Text),
    Column("to_status", Text, nullable=False),
    Column("reason", Text),
    Column("changes", JSONB, nullable=False, comment="the event's data without personal fields"),
    Column("request_id", Text),
    Column("traceparent", Text),
)
