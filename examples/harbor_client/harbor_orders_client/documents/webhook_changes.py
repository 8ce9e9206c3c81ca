"""What `event.change` of a webhook is: one dataclass per event type, with the facts of the event.

They name the event and not its wording: match on the class. Statuses are plain strings, as in `responses`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from harbor_orders_client.documents.responses import Amount


@dataclass(frozen=True, slots=True)
class OrderTotals:
    """The amounts of the order after the event."""

    total: Amount
    authorized: Amount
    captured: Amount
    released: Amount
    refunded: Amount
    settled: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What every change says: the status before (None for a new order) and after, and the amounts after."""

    currency: str
    from_status: str | None
    to_status: str
    totals: OrderTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedChange(Change):
    """`order.created`: it expires at `expires_at` unless it is authorized. Its lines stand in `event.order` alone."""

    external_reference: str | None
    metadata: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """One change of an amendment; what it does not touch is None.

    Of a removed line all but `line_id` is None: a snapshot has it in the `lines` of `event.data["previous"]`.
    """

    op: str
    line_id: int
    sku: str | None
    quantity: int | None
    unit_price: Amount | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendedChange(Change):
    """`order.amended`: lines were changed, in this order."""

    changes: tuple[ChangedLine, ...]
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailsChange(Change):
    """`order.details_changed`: `changed` names them. A new address stands in `event.order` alone."""

    changed: tuple[str, ...]
    external_reference: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteChange(Change):
    """`order.note_added`: its text is not sent; `harbor.orders.notes` reads it."""

    visibility: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizedChange(Change):
    """`order.authorized`: the whole total, until `auth_expires_at`."""

    amount: Amount
    auth_expires_at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class CapturedShare:
    """How much of one line was captured."""

    line_id: int
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedChange(Change):
    """`order.captured`: `final` when no further capture follows. `lines` is empty for a capture by amount."""

    amount: Amount
    final: bool
    lines: tuple[CapturedShare, ...]
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedChange(Change):
    """`order.authorization_released`: the rest of an authorization, after a capture."""

    released: Amount
    cause: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanceledChange(Change):
    """`order.canceled`: `released` of its authorization was released."""

    reason: str | None
    released: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredChange(Change):
    """`order.expired`: its time ran out at `due_at`."""

    due_at: datetime
    released: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundedChange(Change):
    """`order.refunded`."""

    amount: Amount
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementChange(Change):
    """`order.settlement_recorded`: `gross` was paid out, `fee` was kept and `net` arrived."""

    gross: Amount
    fee: Amount
    net: Amount
    value_date: date
    batch: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledChange(Change):
    """`order.settled`: all that was captured is paid out."""

    amount: Amount


CHANGES: Final[Mapping[str, type[Change]]] = {
    "order.created": CreatedChange,
    "order.amended": AmendedChange,
    "order.details_changed": DetailsChange,
    "order.note_added": NoteChange,
    "order.authorized": AuthorizedChange,
    "order.captured": CapturedChange,
    "order.authorization_released": ReleasedChange,
    "order.canceled": CanceledChange,
    "order.expired": ExpiredChange,
    "order.refunded": RefundedChange,
    "order.settlement_recorded": SettlementChange,
    "order.settled": SettledChange,
}
"""Event type -> what its change is read as."""
