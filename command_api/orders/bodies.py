"""What requests look like: strict, closed shapes that become commands, with a JSON pointer to each broken value.

Shapes and money are judged here; everything else about a value is the domain's rule (`domain.order.rules`), so the
bounds below only describe. Server-set fields (id, status, totals) are not in these models and so are refused.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails

from command_api.errors import invalid_command, invalid_values
from command_api.handling.field_codes import FIELD_CODES
from command_api.handling.known_fields import fields_at, known_fields_text
from domain import money, text
from domain.errors import MoneyError
from domain.money import Currency
from domain.order.commands import CreateOrder, NewLine
from domain.order.errors import InvalidCommandError
from domain.order.events import MAX_LINES, MAX_QUANTITY
from domain.order.ids import OrderId
from domain.order.rules import checked_new_order
from domain.order.status import Status
from infra.http.json_body import Json
from infra.http.problems import MAX_ERRORS, FieldError
from infra.tenancy import Tenant

AMOUNT_PATTERN: Final = r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,4})?$"
_STAND_IN: Final = money.currency("EUR")
"""Of an order whose currency is none, while its other values are looked at."""
_AMOUNTS: Final = frozenset({"unit_price", "amount", "gross", "fee", "net"})
_AT_TAG: Final = 2
_COUNT_CODES: Final[Mapping[tuple[int | str, str], str]] = {
    ("lines", "too_short"): "lines_required",
    ("lines", "too_long"): "too_many_lines",
    ("changes", "too_short"): "changes_required",
    ("changes", "too_long"): "too_many_changes",
}


def described(least: int, most: int) -> JsonDict:
    """Describe the length of a text; the domain judges it."""
    return {"minLength": least, "maxLength": most}


Reason = Annotated[str, Field(json_schema_extra=described(1, text.MAX_REASON_CHARS), examples=["ordered twice"])]


class RequestBody(BaseModel):
    """A closed, strictly typed request body."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class LineBody(RequestBody):
    """One line asked for."""

    sku: str = Field(json_schema_extra=described(1, text.MAX_SKU_CHARS), examples=["85123A"])
    quantity: int = Field(json_schema_extra={"minimum": 1, "maximum": MAX_QUANTITY}, examples=[2])
    unit_price: str = Field(
        description="a decimal string with at most the digits of the currency",
        json_schema_extra={"pattern": AMOUNT_PATTERN},
        examples=["19.99"],
    )


class CreateOrderBody(RequestBody):
    """A new order; its total is the sum of quantity x unit price."""

    customer_email: str = Field(json_schema_extra=described(3, text.MAX_EMAIL_CHARS), examples=["buyer@example.com"])
    currency: str = Field(
        description="active ISO 4217 code", json_schema_extra={"pattern": "^[A-Z]{3}$"}, examples=["EUR"]
    )
    # The bound on the list is a real one: it stops 200,000 empty lines before the first of them is looked at.
    lines: list[LineBody] = Field(min_length=1, max_length=MAX_LINES)
    external_reference: str | None = Field(
        default=None,
        description="your own number of the order; unique among your orders for ever",
        json_schema_extra=described(1, text.MAX_EXTERNAL_REFERENCE_CHARS),
        examples=["PO-2026-0042"],
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description="your own pairs; kept and returned, never read",
        json_schema_extra={"maxProperties": text.MAX_METADATA_ENTRIES},
        examples=[{"channel": "web"}],
    )


class NothingBody(RequestBody):
    """An empty object, or no body at all."""


class CancelBody(RequestBody):
    """Why an order is given up, if anybody should know."""

    reason: Reason | None = None


class SetStatusBody(RequestBody):
    """The status to bring an order to."""

    status: str = Field(
        json_schema_extra={"enum": [status.value for status in Status]}, examples=[Status.AUTHORIZED.value]
    )
    reason: Reason | None = None


B = TypeVar("B", bound=RequestBody)


def parse_body(kind: type[B], value: Json) -> B:
    """Return the body of one kind.

    Raises:
        Problem: 422 with at most 20 field errors; a pointer holds our field names and places, never a client's key.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        errors = dict.fromkeys(
            _field_error(kind, item) for item in found[:MAX_ERRORS]
        )  # one per object, of unknown fields
        raise invalid_values(errors) from None


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
        raise invalid_values([*found, *_rules_broken(command)][:MAX_ERRORS])
    return command


def parse_status(body: SetStatusBody) -> Status:
    """Return the status that a body asks for.

    Raises:
        Problem: 422, there is no such status.
    """
    try:
        return Status(body.status)
    except ValueError:
        one_of = f"{FIELD_CODES['status_unknown']} One of: {', '.join(Status)}."
        raise invalid_values([FieldError("/status", "status_unknown", one_of)]) from None


def _new_lines(lines: Iterable[LineBody], currency: Currency | None, found: list[FieldError]) -> tuple[NewLine, ...]:
    """Return the lines; a price that is none in the currency goes to `found`, and the smallest one stands in for it."""
    new_lines: list[NewLine] = []
    for index, line in enumerate(lines):
        minor = 1
        if currency is not None and len(found) < MAX_ERRORS:
            try:
                minor = money.parse_amount(line.unit_price, currency)
            except MoneyError as error:
                found.append(FieldError(f"/lines/{index}/unit_price", error.code, error.detail))
        new_lines.append(NewLine(line.sku, line.quantity, minor))
    return tuple(new_lines)


def _rules_broken(command: CreateOrder) -> list[FieldError]:
    """Return what else is wrong with an order that is refused for its money already, so that it is mended in one go."""
    try:
        checked_new_order(command)
    except InvalidCommandError as error:
        return list(invalid_command(error).errors)
    return []


def _field_error(kind: type[RequestBody], item: ErrorDetails) -> FieldError:  # noqa: PLR0911  # one kind of error each
    path = item["loc"]
    if len(path) > _AT_TAG and path[0] == "changes":
        path = path[:_AT_TAG] + path[_AT_TAG + 1 :]  # the tag that chose the model is no place in the body
    match item["type"]:
        case "missing":
            return field_error(_pointer(path), "required")
        case "extra_forbidden":
            return unknown_field(_pointer(path[:-1]), fields_at(kind, item["loc"][:-1]))
        case "too_short" | "too_long":
            return field_error(_pointer(path), _COUNT_CODES[path[-1], item["type"]])
        case "union_tag_not_found":
            return field_error(f"{_pointer(path)}/op", "required")
        case "union_tag_invalid":
            return field_error(f"{_pointer(path)}/op", "op_unknown")
        case "string_type" if path[-1] in _AMOUNTS:
            return field_error(_pointer(path), "money_must_be_string")
    return field_error(_pointer(path[:1] if path and path[0] == "metadata" else path), "wrong_type")


def field_error(pointer: str, code: str) -> FieldError:
    """Return a broken value by its place and code."""
    return FieldError(pointer, code, FIELD_CODES[code])


def unknown_field(pointer: str, taken: Iterable[str]) -> FieldError:
    """Return an object that has more fields than it takes; the reader is told those, never what was sent."""
    return FieldError(pointer, "unknown_field", f"{FIELD_CODES['unknown_field']} {known_fields_text(taken)}")


def _pointer(path: tuple[int | str, ...]) -> str:
    return "".join(f"/{step}" for step in path)
