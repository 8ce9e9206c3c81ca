"""Commands: what somebody asks an order to do, imperative. Each carries the order's id and `now` (UTC)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from domain.money import Currency
from domain.order.ids import OrderId
from domain.order.status import Status


class NewLine(NamedTuple):
    """One line asked for; its number is its place."""

    sku: str
    quantity: int
    unit_price_minor: int


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
class Authorize:
    """Reserve the whole total."""

    order_id: OrderId
    now: datetime


@dataclass(frozen=True, slots=True)
class Capture:
    """Take all that is authorized; final."""

    order_id: OrderId
    now: datetime


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give the order up and release what is authorized; `reason` in the partner's words, if any."""

    order_id: OrderId
    reason: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Bring the order to a status by the verb that leads there; the status it has already costs no event."""

    order_id: OrderId
    status: Status
    reason: str | None
    now: datetime


OrderCommand = CreateOrder | Authorize | Capture | Cancel | SetStatus
