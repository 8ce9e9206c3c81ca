"""The rules for the values of a command. All broken rules are listed, so that a partner can fix a request in one go."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from domain import text
from domain.errors import MoneyError, ValueRefusedError
from domain.money import MAX_AMOUNT_MINOR, Currency, check_amount, currency, largest_amount, parse_amount
from domain.order.commands import CreateOrder, NewLine, UpdateDetails
from domain.order.errors import (
    AmountError,
    AmountZeroError,
    InvalidCommandError,
    Violation,
    WithdrawnCurrencyError,
)
from domain.order.event_parts import MAX_LINES, MAX_QUANTITY, EventLine
from domain.order.state import OrderState

V = TypeVar("V")


class Violations(list[Violation]):
    """The rules that a command breaks. A path names the member of the request that breaks one."""

    def add(self, code: str, detail: str, *path: str | int) -> None:
        """Add a broken rule."""
        self.append(Violation(path, code, detail))

    def checked(self, rule: Callable[[V], V], value: V, *path: str | int) -> V:
        """Return a value as `rule` keeps it; a refused one as it came, since the command is refused too."""
        try:
            return rule(value)
        except ValueRefusedError as error:
            self.add(error.code, error.detail, *path)
            return value

    def optional(self, rule: Callable[[V], V], value: V | None, *path: str | int) -> V | None:
        """Return None for a value that is not given, else as `checked`."""
        return None if value is None else self.checked(rule, value, *path)

    def metadata(self, pairs: Mapping[str, str], *path: str | int) -> dict[str, str]:
        """Return the partner's own pairs with their values as they are kept, in their order."""
        if len(pairs) > text.MAX_METADATA_ENTRIES:
            self.add("metadata_too_many", f"Metadata holds at most {text.MAX_METADATA_ENTRIES} entries.", *path)
            return {}
        for key in pairs:
            self.checked(text.metadata_key, key, *path, key)
        return {key: self.checked(text.metadata_value, value, *path, key) for key, value in pairs.items()}

    def amount(self, value: str, currency: Currency | None, *path: str | int) -> int:
        """Return the minor units of an amount; 0 when it is refused. Without a currency check only its form."""
        try:
            if currency is not None:
                return parse_amount(value, currency)
            check_amount(value)
        except MoneyError as error:
            self.add(error.code, error.detail, *path)
        return 0

    def price(self, value: str, currency: Currency | None, *path: str | int) -> int:
        """Return the minor units of a price, as `amount`; it is more than zero."""
        broken_before = len(self)
        minor = self.amount(value, currency, *path)
        if minor == 0 and len(self) == broken_before and not value.strip("0."):
            self.add("amount_zero", "A price is more than zero.", *path)
        return minor

    def quantity(self, value: int, *path: str | int) -> bool:
        """Return whether a quantity keeps its bounds."""
        is_kept = 1 <= value <= MAX_QUANTITY
        if not is_kept:
            self.add("quantity_out_of_range", f"A quantity is a whole number from 1 to {MAX_QUANTITY}.", *path)
        return is_kept

    def require_none(self) -> None:
        """Raise if a rule is broken.

        Raises:
            InvalidCommandError: with all of them.
        """
        if self:
            raise InvalidCommandError(tuple(self))


class CheckedOrder(NamedTuple):
    """The values of a new order, normalised; every rule holds."""

    lines: tuple[EventLine, ...]
    total_minor: int
    customer_email: str
    external_reference: str | None
    metadata: dict[str, str]


class CheckedDetails(NamedTuple):
    """The details asked for, normalised; None for those that were not asked for."""

    customer_email: str | None
    external_reference: str | None
    metadata: Mapping[str, str] | None


def checked_new_order(command: CreateOrder) -> CheckedOrder:
    """Return the values of a new order with texts in NFC.

    Raises:
        InvalidCommandError: with every violation.
        WithdrawnCurrencyError: the currency is not active any more, and no other rule is broken.
    """
    found = Violations()
    email = found.checked(text.email, command.customer_email, "customer_email")
    reference = found.optional(text.external_reference, command.external_reference, "external_reference")
    metadata = found.metadata(command.metadata, "metadata")
    lines = _lines(command.lines, command.currency, found)
    total_minor = sum(line.total_minor for line in lines)
    if total_minor > MAX_AMOUNT_MINOR:
        found.add("amount_too_large", f"The lines may sum to at most {largest_amount(command.currency)}.", "lines")
    found.require_none()
    _require_active(command.currency)
    return CheckedOrder(lines, total_minor, email, reference, metadata)


def checked_details(command: UpdateDetails) -> CheckedDetails:
    """Return the details asked for with texts in NFC.

    Raises:
        InvalidCommandError: with every violation.
    """
    found = Violations()
    details = CheckedDetails(
        found.optional(text.email, command.customer_email, "customer_email"),
        found.optional(text.external_reference, command.external_reference, "external_reference"),
        None if command.metadata is None else found.metadata(command.metadata, "metadata"),
    )
    found.require_none()
    return details


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
    found = Violations()
    kept = found.checked(rule, value, field)
    found.require_none()
    return kept


def require_available(amount_minor: int, available_minor: int, error: type[AmountError], state: OrderState) -> None:
    """Raise unless an amount is more than zero and no more than what is available.

    Raises:
        AmountZeroError: it is zero.
        AmountError: it is more; the leaf is `error`.
    """
    if amount_minor == 0:
        raise AmountZeroError(0, available_minor, state.currency, state.version)
    if amount_minor > available_minor:
        raise error(amount_minor, available_minor, state.currency, state.version)


def _require_active(priced_in: Currency) -> None:
    try:
        currency(priced_in.code)
    except MoneyError as error:
        raise WithdrawnCurrencyError((Violation(("currency",), error.code, error.detail),)) from None


def _lines(new_lines: tuple[NewLine, ...], priced_in: Currency, found: Violations) -> tuple[EventLine, ...]:
    """Return the lines, numbered from 1. How many there are is checked before any of them is read."""
    if not new_lines:
        found.add("lines_required", "An order has at least one line.", "lines")
        return ()
    if len(new_lines) > MAX_LINES:
        found.add("too_many_lines", f"An order has at most {MAX_LINES:,} lines.", "lines")
        return ()
    lines: list[EventLine] = []
    for index, line in enumerate(new_lines):
        checked = _line(index, line, priced_in, found)
        if checked is not None:
            lines.append(checked)
    return tuple(lines)


def _line(index: int, line: NewLine, priced_in: Currency, found: Violations) -> EventLine | None:
    broken_before = len(found)
    path = ("lines", index)
    sku = found.checked(text.sku, line.sku, *path, "sku")
    found.quantity(line.quantity, *path, "quantity")
    total_minor = line.quantity * line.unit_price_minor
    if line.unit_price_minor <= 0:
        found.add("amount_zero", "A price is more than zero.", *path, "unit_price")
    elif total_minor > MAX_AMOUNT_MINOR:
        detail = f"The price times the quantity is at most {largest_amount(priced_in)}."
        found.add("amount_too_large", detail, *path, "unit_price")
    if len(found) > broken_before:
        return None
    return EventLine(
        line_id=index + 1,
        sku=sku,
        quantity=line.quantity,
        unit_price_minor=line.unit_price_minor,
        total_minor=total_minor,
    )
