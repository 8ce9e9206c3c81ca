"""Commands: requests to change an order, in the imperative. Each holds the order's id and `now` (UTC).

Amounts of commands on an existing order are decimal texts: only the order knows its currency, so `decide` parses them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from domain.money import Currency
from domain.order.ids import OrderId
from domain.order.status import Status


class NewLine(NamedTuple):
    """One line of a new order; its number is its position."""

    sku: str
    quantity: int
    unit_price_minor: int


class AddLine(NamedTuple):
    """Add a line at the end, under an id that no line of the order ever had."""

    sku: str
    quantity: int
    unit_price: str


class RemoveLine(NamedTuple):
    """Remove a line."""

    line_id: int


class SetQuantity(NamedTuple):
    """Change the quantity of a line."""

    line_id: int
    quantity: int


class SetPrice(NamedTuple):
    """Change the price of a line."""

    line_id: int
    unit_price: str


LineAmendment = AddLine | RemoveLine | SetQuantity | SetPrice


class LineShare(NamedTuple):
    """How much of a line to capture."""

    line_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class CreateOrder:
    """Create an order. Texts may be in any normal form; `decide` keeps NFC."""

    order_id: OrderId
    partner_id: str
    livemode: bool
    currency: Currency
    customer_email: str
    lines: tuple[NewLine, ...]
    external_reference: str | None
    metadata: Mapping[str, str]
    now: datetime


@dataclass(frozen=True, slots=True)
class AmendLines:
    """Make all `changes` to the lines, in this order, or none."""

    order_id: OrderId
    changes: tuple[LineAmendment, ...]
    reason: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class UpdateDetails:
    """Change the details that are not None. `metadata` replaces all pairs."""

    order_id: OrderId
    customer_email: str | None
    external_reference: str | None
    metadata: Mapping[str, str] | None
    now: datetime


@dataclass(frozen=True, slots=True)
class AddNote:
    """Add a note to the order, for everybody who sees the order or for the partner's staff."""

    order_id: OrderId
    note: str
    visibility: Literal["internal", "partner"]
    now: datetime


@dataclass(frozen=True, slots=True)
class Authorize:
    """Reserve the whole total."""

    order_id: OrderId
    now: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """Capture an amount, the price of some lines, or (with neither) all that is left.

    `final` releases what is still authorized then; otherwise another capture may follow.
    """

    order_id: OrderId
    now: datetime
    amount: str | None = None
    lines: tuple[LineShare, ...] | None = None
    final: bool = True
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Void:
    """Release what is authorized and not captured; before any capture this cancels the order."""

    order_id: OrderId
    reason: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel the order and release what is authorized; `reason` is in the partner's words, if any."""

    order_id: OrderId
    reason: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Refund:
    """Refund an amount of what was captured; all that is left of it without an amount."""

    order_id: OrderId
    amount: str | None
    reason: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Settle:
    """Record that captured money was paid out: `gross` = `fee` + `net`. `value_date` is a day such as 2026-11-25."""

    order_id: OrderId
    gross: str
    fee: str
    net: str
    value_date: str
    batch: str | None
    now: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Expire:
    """End what is due by now, if anything is. Only the timer sends this."""

    order_id: OrderId
    now: datetime


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Bring the order to a status by the verb that leads there; no event if it already has that status."""

    order_id: OrderId
    status: Status
    reason: str | None
    now: datetime


OrderCommand = (
    CreateOrder
    | AmendLines
    | UpdateDetails
    | AddNote
    | Authorize
    | Capture
    | Void
    | Cancel
    | Refund
    | Settle
    | Expire
    | SetStatus
)
