"""The documents about orders. The order itself is the one of `domain.order.document`, served as it is stored."""

from typing import Any, Literal
from uuid import UUID

import asyncpg
import orjson
from pydantic import Field

from domain.instants import Instant
from domain.order.document import Document, Order
from infra.http.cursors import Page
from query_api.documents import RowDocument, StoredJson


class ShownOrder(Order):
    """An order as of `version`; to a key of the installation it also says whose it is."""

    partner_id: str = Field(
        default_factory=str,
        description="whose order it is; only in responses to keys of the installation",
        examples=["acme"],
    )


def shown_order(row: asyncpg.Record, *, is_partner: bool) -> bytes:
    """Return the bytes of an order: to its partner those that are stored."""
    document: bytes = row["document"]
    return document if is_partner else b'%b,"partner_id":%b}' % (document[:-1], orjson.dumps(row["partner_id"]))


class Actor(Document):
    """Who did it."""

    type: str = Field(examples=["api_key"])
    id: str = Field(examples=["acme"])
    key_id: str | None = Field(examples=["8Zk2Qp1x"])
    label: str | None = Field(
        description="what the key is called, also after it was revoked; null without a key or a label",
        examples=["checkout, 2026"],
    )


class TimelineEntry(RowDocument):
    """One event of an order."""

    sequence: int
    type: str = Field(examples=["order.created"])
    event_id: UUID
    occurred_at: Instant
    recorded_at: Instant
    actor: StoredJson[Actor]
    from_: str | None = Field(alias="from")
    to: str = Field(examples=["pending"])
    reason: str | None
    changes: StoredJson[dict[str, Any]]
    request_id: str | None
    position: int


class Note(RowDocument):
    """A note on an order. `note` is null where its text was erased; `sequence` is that of its event."""

    sequence: int
    event_id: UUID
    occurred_at: Instant
    actor: StoredJson[Actor]
    visibility: Literal["partner", "internal"] = Field(
        description="`partner`: for everybody who sees the order; `internal`: for the partner's own keys"
    )
    note: str | None = Field(examples=["call before delivery"])


class OrderPage(Page[ShownOrder]):
    """A page of orders."""


class TimelinePage(Page[TimelineEntry]):
    """A page of a timeline."""


class NotePage(Page[Note]):
    """A page of notes."""
