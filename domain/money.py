"""Money: integer minor units with an ISO 4217 currency; decimal strings only at the edge, floats nowhere.

An amount is a string because most clients read JSON numbers as binary floats. It is matched by an ASCII pattern and, if
it is short, converted as an integer: input never becomes a Decimal, because `int(Decimal("1E+1000000"))` alone
keeps a CPU busy for half a minute.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from domain.currencies import EXPONENTS, RETIRED
from domain.errors import MoneyError

MAX_AMOUNT_MINOR = 10**15
"""Largest total of an order in minor units; sums of it still fit a signed 64-bit integer."""

_MAX_WHOLE_DIGITS = 16
_MAX_EXPONENT = max(EXPONENTS.values())
_AMOUNT = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency: its alphabetic code and the digits after the point (`exponent`)."""

    code: str
    exponent: int


class AmountDocument(TypedDict):
    """How money looks in every response."""

    amount: str
    amount_minor: int
    currency: str


_CURRENCIES = {code: Currency(code, exponent) for code, exponent in EXPONENTS.items()}
_RECORDED = {code: Currency(code, exponent) for code, exponent in RETIRED.items()} | _CURRENCIES


def currency(code: object) -> Currency:
    """Return the active currency of an upper-case alphabetic code: one that a new order may be priced in.

    Raises:
        MoneyError: `currency_unknown`.
    """
    return _known(_CURRENCIES, code)


def recorded_currency(code: object) -> Currency:
    """Return the currency of a recorded event: active, or withdrawn since. A fact never becomes unreadable.

    Raises:
        MoneyError: `currency_unknown`: no order was ever priced in it.
    """
    return _known(_RECORDED, code)


def parse_amount(text: object, currency: Currency) -> int:
    """Return the minor units of a JSON value such as "19.99".

    >>> parse_amount("19.99", Currency("EUR", 2))
    1999

    Raises:
        MoneyError: `money_must_be_string` (a JSON number), `amount_malformed` (sign, exponent, spaces, leading zeros,
            non-ASCII digits), `amount_too_large` or `currency_precision` (more decimals than the currency has).
    """
    if not isinstance(text, str):
        raise MoneyError("money_must_be_string", 'An amount is a decimal string such as "19.99".')
    if not _AMOUNT.fullmatch(text):
        raise MoneyError("amount_malformed", 'An amount is ASCII digits with an optional point, such as "19.99".')
    whole, _, decimals = text.partition(".")
    if len(whole) > _MAX_WHOLE_DIGITS:  # before it is converted, which costs time that grows with the square
        raise MoneyError("amount_too_large", f"An amount is at most {largest_amount(currency)}.")
    exponent = currency.exponent
    if len(decimals) != exponent:
        if len(decimals) > exponent:
            raise MoneyError("currency_precision", f"{currency.code} has at most {exponent} digits after the point.")
        decimals = decimals.ljust(exponent, "0")
    minor = int(whole + decimals)
    if minor > MAX_AMOUNT_MINOR:
        raise MoneyError("amount_too_large", f"An amount is at most {largest_amount(currency)}.")
    return minor


def check_amount(text: object) -> None:
    """Check an amount as far as that is possible without its currency.

    Raises:
        MoneyError: as `parse_amount`, if it would in every currency.
    """
    try:
        parse_amount(text, Currency("A currency", _MAX_EXPONENT))
    except MoneyError as error:
        if error.code != "amount_too_large" or not isinstance(text, str):
            raise
        parse_amount(text.partition(".")[0], Currency("in any currency", 0))


def largest_amount(currency: Currency) -> str:
    """Return `MAX_AMOUNT_MINOR` as people read it.

    >>> largest_amount(Currency("EUR", 2))
    '10,000,000,000,000.00 EUR'
    """
    whole, point, decimals = amount_text(MAX_AMOUNT_MINOR, currency).partition(".")
    return f"{int(whole):,}{point}{decimals} {currency.code}"


def amount_text(amount_minor: int, currency: Currency) -> str:
    """Return minor units (>= 0) as a decimal string with exactly the currency's digits.

    >>> amount_text(5, Currency("KWD", 3))
    '0.005'
    """
    exponent = currency.exponent
    if exponent == 0:
        return str(amount_minor)
    digits = str(amount_minor).rjust(exponent + 1, "0")
    return f"{digits[:-exponent]}.{digits[-exponent:]}"


def amount_document(amount_minor: int, currency: Currency) -> AmountDocument:
    """Return money as every response shows it: the text, the minor units and the currency."""
    return {
        "amount": amount_text(amount_minor, currency),
        "amount_minor": amount_minor,
        "currency": currency.code,
    }


def _known(currencies: Mapping[str, Currency], code: object) -> Currency:
    known = currencies.get(code) if isinstance(code, str) else None
    if known is None:
        raise MoneyError("currency_unknown", "A currency is an active ISO 4217 alphabetic code in upper case.")
    return known
