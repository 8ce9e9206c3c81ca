"""What `data.change` of a webhook holds: one closed shape per event type, for OpenAPI.

`domain.change.change_document` writes it; a test holds every event to its shape.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final, Literal

from pydantic import Field

from domain.order.document import Document, Money
from domain.order.events import (
    OrderAmended,
    OrderAuthorizationReleased,
    OrderAuthorized,
    OrderCanceled,
    OrderCaptured,
    OrderCreated,
    OrderDetailsChanged,
    OrderExpired,
    OrderNoteAdded,
    OrderRefunded,
    OrderSettled,
    OrderSettlementRecorded,
)
from domain.order.status import Status


class OrderTotals(Document):
    """The amounts of the order after the event."""

    total: Money
    authorized: Money
    captured: Money
    released: Money
    refunded: Money
    settled: Money


class Change(Document):
    """What every change says: the status before (null for a new order) and after, and the amounts after."""

    currency: str = Field(examples=["EUR"])
    from_status: Status | None
    to_status: Status
    totals: OrderTotals


class CreatedChange(Change):
    """An order was placed; it expires at `expires_at` unless it is authorized. Its lines stand in the order alone."""

    external_reference: str | None = Field(examples=["PO-2026-0042"])
    metadata: dict[str, str]
    expires_at: datetime


class ChangedLine(Document):
    """One change of an amendment; what it does not touch is null.

    Of a removed line all but `line_id` is null: a snapshot has it in the `lines` of `previous`.
    """

    op: Literal["add", "remove", "set_quantity", "set_price"]
    line_id: int
    sku: str | None = Field(examples=["LANTERN-2"])
    quantity: int | None
    unit_price: Money | None


class AmendedChange(Change):
    """Lines were changed, in this order."""

    changes: list[ChangedLine]
    reason: str | None = Field(examples=["two more lanterns"])


class DetailsChange(Change):
    """Details were changed: `changed` names them. The address itself stands only in the order of a snapshot."""

    changed: list[Literal["customer_email", "external_reference", "metadata"]]
    external_reference: str | None = Field(examples=["PO-2026-0042"])
    metadata: dict[str, str]


class NoteChange(Change):
    """A note was added. Its text may be personal and is not sent: read the notes of the order."""

    visibility: Literal["internal", "partner"]


class AuthorizedChange(Change):
    """The whole total was authorized, until `auth_expires_at`."""

    amount: Money
    auth_expires_at: datetime
    reason: str | None = Field(examples=["credit checked"])


class CapturedShare(Document):
    """How much of one line was captured."""

    line_id: int
    quantity: int


class CapturedChange(Change):
    """An amount was captured. `final`: no further capture follows. `lines` is empty for a capture by amount."""

    amount: Money
    final: bool
    lines: list[CapturedShare]
    reason: str | None = Field(examples=["shipped"])


class ReleasedChange(Change):
    """After a capture, the rest of the authorization was released; `cause` says by what."""

    released: Money
    cause: Literal["final_capture", "voided", "expired"]
    reason: str | None = Field(examples=["sold out"])


class CanceledChange(Change):
    """The order was canceled; `released` of its authorization was released."""

    reason: str | None = Field(examples=["ordered twice"])
    released: Money


class ExpiredChange(Change):
    """The order's time ran out at `due_at`; `released` of its authorization was released."""

    due_at: datetime
    released: Money


class RefundedChange(Change):
    """An amount was refunded."""

    amount: Money
    reason: str | None = Field(examples=["one hanger was broken"])


class SettlementChange(Change):
    """`gross` of what was captured was paid out: `fee` was kept and `net` arrived, with this value date."""

    gross: Money
    fee: Money
    net: Money
    value_date: date = Field(examples=["2026-11-25"])
    batch: str | None = Field(examples=["2026-11-25-EUR"])
    reason: str | None = Field(examples=["weekly payout"])


class SettledChange(Change):
    """All that was captured, `amount`, is paid out."""

    amount: Money


CHANGES: Final[Mapping[str, type[Change]]] = {
    OrderCreated.type: CreatedChange,
    OrderAmended.type: AmendedChange,
    OrderDetailsChanged.type: DetailsChange,
    OrderNoteAdded.type: NoteChange,
    OrderAuthorized.type: AuthorizedChange,
    OrderCaptured.type: CapturedChange,
    OrderAuthorizationReleased.type: ReleasedChange,
    OrderCanceled.type: CanceledChange,
    OrderExpired.type: ExpiredChange,
    OrderRefunded.type: RefundedChange,
    OrderSettlementRecorded.type: SettlementChange,
    OrderSettled.type: SettledChange,
}
"""Event type -> the shape of its change."""
