"""Commands: what somebody asks an order to do, imperative. Each carries the order's id and `now` (UTC).

Amounts in commands on an order that exists are decimal texts: only the order knows its currency, and `decide` reads
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, NamedTuple

from domain.money import Currency
from domain.order.ids import OrderId
from domain.order.status import Status


class NewLine(NamedTuple):
    """One line asked for; its number is its place."""

    sku: str
    quantity: int
    unit_price_minor: int


class AddLine(NamedTuple):
    """Add a line at the end; it gets an id that no line of the order ever had."""

    sku: str
    quantity: int
    unit_price: str


class RemoveLine(NamedTuple):
    """Take a line away."""

    line_id: int


class SetQuantity(NamedTuple):
    """Order more or less of a line."""

    line_id: int
    quantity: int


class SetPrice(NamedTuple):
    """Price a line anew."""

    line_id: int
    unit_price: str


LineAmendment = AddLine | RemoveLine | SetQuantity | SetPrice


class LineShare(NamedTuple):
    """How much of a line to capture."""

    line_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class CreateOrder:
    """Open an order. Texts may be in any normal form; `decide` keeps NFC."""

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
    """Do all `changes` to the lines, in their order, or none."""

    order_id: OrderId
    changes: tuple[LineAmendment, ...]
    reason: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class UpdateDetails:
    """Change what is given, leave what is None. `metadata` replaces all pairs."""

    order_id: OrderId
    customer_email: str | None
    external_reference: str | None
    metadata: Mapping[str, str] | None
    now: datetime


@dataclass(frozen=True, slots=True)
class AddNote:
    """Write a note on the order, for everybody of the partner or for its own staff."""

    order_id: OrderId
    note: str
    visibility: Literal["internal", "partner"]
    now: datetime


@dataclass(frozen=True, slots=True)
class Authorize:
    """Reserve the whole total."""

    order_id: OrderId
    now: datetime


@dataclass(frozen=True, slots=True)
class Capture:
    """Take an amount, or the price of some lines, or (neither given) all that is left.

    `final` releases what is then still authorized; otherwise another capture may follow.
    """

    order_id: OrderId
    now: datetime
    amount: str | None = None
    lines: tuple[LineShare, ...] | None = None
    final: bool = True


@dataclass(frozen=True, slots=True)
class Void:
    """Release what is authorized and not captured. Before any capture that cancels the order."""

    order_id: OrderId
    reason: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give the order up and release what is authorized; `reason` in the partner's words, if any."""

    order_id: OrderId
    reason: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Refund:
    """Give back an amount of what was captured; all that is left of it when none is given."""

    order_id: OrderId
    amount: str | None
    reason: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Settle:
    """Record that captured money was paid out: `gross` = `fee` + `net`."""

    order_id: OrderId
    gross: str
    fee: str
    net: str
    value_date: date
    batch: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Expire:
    """Let the order's time run out, if it has. Only the timer asks this."""

    order_id: OrderId
    now: datetime


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Bring the order to a status by the verb that leads there; the status it has already costs no event."""

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
