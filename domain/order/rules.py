"""The rules for values in a command; every broken one is listed, so that a partner mends a request in one go."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from domain import text
from domain.errors import MoneyError, TextError
from domain.money import MAX_AMOUNT_MINOR, Currency, currency, parse_amount
from domain.order.commands import CreateOrder, NewLine, UpdateDetails
from domain.order.errors import MAX_VIOLATIONS, InvalidCommandError, Violation, WithdrawnCurrencyError
from domain.order.event_parts import MAX_LINES, MAX_QUANTITY, OrderLine


class CheckedOrder(NamedTuple):
    """The values of a new order, normalised; every rule holds."""

    lines: tuple[OrderLine, ...]
    total_minor: int
    customer_email: str
    external_reference: str | None
    metadata: dict[str, str]


class CheckedDetails(NamedTuple):
    """The details asked for, normalised; None where nothing is."""

    customer_email: str | None
    external_reference: str | None
    metadata: dict[str, str] | None


def checked_new_order(command: CreateOrder) -> CheckedOrder:
    """Return the values of a new order with texts in NFC.

    Raises:
        InvalidCommandError: with at most 20 violations.
        WithdrawnCurrencyError: no other rule is broken than that the currency is an active one.
    """
    found: list[Violation] = []
    email = _text(text.email, command.customer_email, "customer_email", found)
    reference = command.external_reference
    if reference is not None:
        reference = _text(text.external_reference, reference, "external_reference", found)
    metadata = _metadata(command.metadata, found)
    lines = _lines(command.lines, found)
    total_minor = sum(line.total_minor for line in lines)
    if total_minor > MAX_AMOUNT_MINOR:
        found.append(Violation(("lines",), "amount_too_large", f"sum to at most {MAX_AMOUNT_MINOR} minor units"))
    if found:
        raise InvalidCommandError(tuple(found[:MAX_VIOLATIONS]))
    _require_active(command.currency)
    return CheckedOrder(lines, total_minor, email, reference, metadata)


def checked_details(command: UpdateDetails) -> CheckedDetails:
    """Return the details asked for with texts in NFC.

    Raises:
        InvalidCommandError: with one violation for each field at most.
    """
    found: list[Violation] = []
    email, reference = command.customer_email, command.external_reference
    if email is not None:
        email = _text(text.email, email, "customer_email", found)
    if reference is not None:
        reference = _text(text.external_reference, reference, "external_reference", found)
    metadata = None if command.metadata is None else _metadata(command.metadata, found)
    if found:
        raise InvalidCommandError(tuple(found))
    return CheckedDetails(email, reference, metadata)


def checked_reason(reason: str | None) -> str | None:
    """Return a reason in NFC, if there is one.

    Raises:
        InvalidCommandError: with one violation.
    """
    return None if reason is None else checked_text(text.reason, reason, "reason")


def checked_text(rule: Callable[[str], str], value: str, field: str) -> str:
    """Return a text as `rule` keeps it.

    Raises:
        InvalidCommandError: with one violation.
    """
    try:
        return rule(value)
    except TextError as error:
        raise InvalidCommandError((Violation((field,), error.code, error.detail),)) from None


def checked_amount(value: str, currency: Currency, field: str) -> int:
    """Return the minor units of a decimal text.

    Raises:
        InvalidCommandError: with one violation.
    """
    try:
        return parse_amount(value, currency)
    except MoneyError as error:
        raise InvalidCommandError((Violation((field,), error.code, error.detail),)) from None


def quantity_violation(path: tuple[str | int, ...], quantity: int) -> Violation | None:
    """Return the rule that a quantity breaks, if it does."""
    if 1 <= quantity <= MAX_QUANTITY:
        return None
    return Violation(path, "quantity_out_of_range", f"is a whole number from 1 to {MAX_QUANTITY}")


def _require_active(priced_in: Currency) -> None:
    try:
        currency(priced_in.code)
    except MoneyError as error:
        raise WithdrawnCurrencyError((Violation(("currency",), error.code, error.detail),)) from None


def _lines(new_lines: tuple[NewLine, ...], found: list[Violation]) -> tuple[OrderLine, ...]:
    """Return the lines, numbered from 1. Their number is judged before any of them is looked at."""
    if not new_lines:
        found.append(Violation(("lines",), "lines_required", "an order has at least one line"))
        return ()
    if len(new_lines) > MAX_LINES:
        found.append(Violation(("lines",), "too_many_lines", f"an order has at most {MAX_LINES} lines"))
        return ()
    lines: list[OrderLine] = []
    for index, line in enumerate(new_lines):
        checked = _line(index, line, found)
        if checked is not None:
            lines.append(checked)
        if len(found) >= MAX_VIOLATIONS:
            break
    return tuple(lines)


def _line(index: int, line: NewLine, found: list[Violation]) -> OrderLine | None:
    known = len(found)
    sku = line.sku
    try:
        sku = text.sku(sku)
    except TextError as error:
        found.append(Violation(("lines", index, "sku"), error.code, error.detail))
    out_of_range = quantity_violation(("lines", index, "quantity"), line.quantity)
    if out_of_range is not None:
        found.append(out_of_range)
    total_minor = line.quantity * line.unit_price_minor
    path = ("lines", index, "unit_price")
    if line.unit_price_minor <= 0:
        found.append(Violation(path, "amount_zero", "is more than zero"))
    elif total_minor > MAX_AMOUNT_MINOR:
        detail = f"times the quantity is at most {MAX_AMOUNT_MINOR} minor units"
        found.append(Violation(path, "amount_too_large", detail))
    if len(found) > known:
        return None
    return OrderLine(
        line_id=index + 1,
        sku=sku,
        quantity=line.quantity,
        unit_price_minor=line.unit_price_minor,
        total_minor=total_minor,
    )


def _text(rule: Callable[[str], str], value: str, field: str, found: list[Violation]) -> str:
    try:
        return rule(value)
    except TextError as error:
        found.append(Violation((field,), error.code, error.detail))
        return value


def _metadata(value: Mapping[str, str], found: list[Violation]) -> dict[str, str]:
    try:
        return text.metadata(value)
    except TextError as error:
        # The pointer stops at the field: a key is input, and input is never echoed.
        found.append(Violation(("metadata",), error.code, error.detail))
        return {}
