"""Bodies of the requests that create an order, authorize, cancel it or set its status, and the commands they become.

Shapes and money are checked here; everything else about a value is the domain's rule (`domain.order.decisions`), so the
bounds below are documentation.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from pydantic import Field

from command_api.handling.bodies import (
    AMOUNT_PATTERN,
    NO_ORDER,
    also_broken,
    described,
    value_errors_of,
    with_example,
)
from command_api.handling.field_codes import FIELD_CODES
from domain import money, text
from domain.errors import MoneyError
from domain.money import Currency
from domain.order.commands import Authorize, Cancel, CreateOrder, NewLine, SetStatus
from domain.order.event_parts import MAX_LINES, MAX_QUANTITY
from domain.order.ids import OrderId
from domain.order.status import Status
from infra.http.problems import FieldError
from infra.http.validation import RequestBody
from infra.tenancy import Tenant

_STAND_IN: Final = money.currency("EUR")
"""Stands in for a currency that is not one, while the other values are checked."""
_NOBODY: Final = Tenant("-", livemode=False)

LineId = Annotated[
    int, Field(description="the line's `line_id`", json_schema_extra={"minimum": 1, "maximum": 2**31 - 1}, examples=[1])
]
Quantity = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": MAX_QUANTITY}, examples=[2])]
Amount = Annotated[
    str,
    Field(
        description="a decimal string with at most the digits of the order's currency",
        json_schema_extra={"pattern": AMOUNT_PATTERN},
        examples=["19.99"],
    ),
]
Reason = Annotated[str, Field(json_schema_extra=described(1, text.MAX_REASON_CHARS), examples=["ordered twice"])]


NEW_ORDER: Final[dict[str, Any]] = {
    "customer_email": "buyer@example.com",
    "currency": "EUR",
    "lines": [
        {"sku": "85123A", "quantity": 2, "unit_price": "19.99"},
        {"sku": "ROPE-10M", "quantity": 1, "unit_price": "7.50"},
    ],
}
CANCEL: Final[dict[str, Any]] = {"reason": "ordered twice"}


class LineBody(RequestBody):
    """One line of a new order."""

    sku: str = Field(json_schema_extra=described(1, text.MAX_SKU_CHARS), examples=["85123A"])
    quantity: Quantity
    unit_price: str = Field(
        description="a decimal string with at most the digits of the currency",
        json_schema_extra={"pattern": AMOUNT_PATTERN},
        examples=["19.99"],
    )


class CreateOrderBody(RequestBody):
    """A new order; its total is the sum of quantity x unit price."""

    model_config = with_example(NEW_ORDER)
    about_names = frozenset({"metadata_key"})

    customer_email: str = Field(json_schema_extra=described(3, text.MAX_EMAIL_CHARS), examples=["buyer@example.com"])
    currency: str = Field(
        description="active ISO 4217 code", json_schema_extra={"pattern": "^[A-Z]{3}$"}, examples=["EUR"]
    )
    # The bound on the list is a real one: it stops 200,000 empty lines before the first of them is checked.
    lines: list[LineBody] = Field(min_length=1, max_length=MAX_LINES)
    external_reference: str | None = Field(
        default=None,
        description="your own number of the order; unique among your orders forever",
        json_schema_extra=described(1, text.MAX_EXTERNAL_REFERENCE_CHARS),
        examples=["PO-2026-0042"],
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description="your own pairs; kept and returned, never read; a value may be empty",
        json_schema_extra={"maxProperties": text.MAX_METADATA_ENTRIES},
        examples=[{"channel": "web"}],
    )

    def value_errors(self, broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the values; those of amounts that depend on a broken currency are not known."""
        body = self.model_copy(update={"currency": ""}) if "/currency" in broken else self
        return value_errors_of(partial(create_order, body, NO_ORDER, _NOBODY))


class AuthorizeBody(RequestBody):
    """Why the order is authorized, if a reason is to be kept."""

    reason: Reason | None = None

    def value_errors(self, _broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the reason."""
        return value_errors_of(lambda now: Authorize(NO_ORDER, now, self.reason))


class CancelBody(RequestBody):
    """Why the order is canceled, if a reason is to be kept."""

    model_config = with_example(CANCEL)

    reason: Reason | None = None

    def value_errors(self, _broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the reason."""
        return value_errors_of(lambda now: Cancel(NO_ORDER, self.reason, now))


class SetStatusBody(RequestBody):
    """The status to bring an order to."""

    status: str = Field(
        json_schema_extra={"enum": [status.value for status in Status]}, examples=[Status.AUTHORIZED.value]
    )
    reason: Reason | None = Field(
        default=None, description="kept on the event that this causes; the status it has already causes none"
    )

    def value_errors(self, _broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the status and the reason."""
        return value_errors_of(partial(set_status, self, NO_ORDER))


def create_order(body: CreateOrderBody, order_id: OrderId, tenant: Tenant, now: datetime) -> CreateOrder:
    """Return the command that a body asks for, its amounts in minor units.

    Whether its currency is still active is for `decide`: the body may repeat one that was accepted when it was.

    Raises:
        Problem: 422, the currency or amounts are not; with the rules that the other values break.
    """
    found: list[FieldError] = []
    currency: Currency | None = None
    try:
        currency = money.recorded_currency(body.currency)
    except MoneyError as error:
        found.append(FieldError("/currency", error.code, error.detail))
    command = CreateOrder(
        order_id=order_id,
        partner_id=tenant.partner_id,
        livemode=tenant.livemode,
        currency=currency or _STAND_IN,
        customer_email=body.customer_email,
        lines=_new_lines(body.lines, currency, found),
        external_reference=body.external_reference,
        metadata=body.metadata,
        now=now,
    )
    if found:
        raise also_broken(found, command)
    return command


def set_status(body: SetStatusBody, order_id: OrderId, now: datetime) -> SetStatus:
    """Return the command that a body asks for.

    Raises:
        Problem: 422, there is no such status; with the rules that the reason breaks.
    """
    try:
        return SetStatus(order_id, Status(body.status), body.reason, now)
    except ValueError:
        one_of = f"{FIELD_CODES['status_unknown']} One of: {', '.join(Status)}."
        found = [FieldError("/status", "status_unknown", one_of)]
        raise also_broken(found, Cancel(order_id, body.reason, now)) from None


def _new_lines(lines: Iterable[LineBody], currency: Currency | None, found: list[FieldError]) -> tuple[NewLine, ...]:
    """Return the lines; a price that is malformed goes to `found`, and the smallest amount stands in for it.

    Without a currency only the form of the prices is checked.
    """
    new_lines: list[NewLine] = []
    for index, line in enumerate(lines):
        minor = 1
        try:
            if currency is None:
                money.check_amount(line.unit_price)
                minor = int(line.unit_price.strip("0.") != "")
            else:
                minor = money.parse_amount(line.unit_price, currency)
        except MoneyError as error:
            found.append(FieldError(f"/lines/{index}/unit_price", error.code, error.detail))
        new_lines.append(NewLine(line.sku, line.quantity, minor))
    return tuple(new_lines)
