"""What the demo orders: a generated stream, or invoices of a CSV file."""

import csv
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("invoice", "stock_code", "quantity", "unit_price", "customer_id")
CURRENCIES = ("EUR", "USD", "GBP", "JPY", "KWD")
DIGITS = {"JPY": 0, "KWD": 3}
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_WHOLE = re.compile(r" *-?[0-9]{1,9} *", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it will be sent; `source` is where it came from, for the report of refusals.

    A quantity that is not a whole number stays text: the service refuses it, and the refusal is counted.
    """

    sku: str
    quantity: int | str
    unit_price: str
    source: str

    def body(self) -> dict[str, object]:
        """Return the JSON of the line."""
        return {"sku": self.sku, "quantity": self.quantity, "unit_price": self.unit_price}


@dataclass(frozen=True, slots=True)
class Draft:
    """One order to be sent."""

    name: str
    email: str
    currency: str
    lines: tuple[Line, ...]
    metadata: dict[str, str]

    def body(self, lines: tuple[Line, ...]) -> dict[str, object]:
        """Return the JSON of POST /orders with these lines."""
        return {
            "customer_email": self.email,
            "currency": self.currency,
            "lines": [line.body() for line in lines],
            "metadata": self.metadata,
        }


class BadFileError(Exception):
    """The file is not the CSV the demo reads; the message says what is wrong."""


def generated(count: int, seed: int, run: str) -> Iterator[Draft]:
    """Return `count` orders of 1 to 12 lines in several currencies; the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311  # a repeatable stream, not a secret
    for number in range(count):
        currency = dice.choice(CURRENCIES)
        lines = tuple(
            Line(
                f"SKU-{dice.randrange(1, 400):04}",
                dice.randrange(1, 20),
                _price(dice.randrange(1, 20_000), DIGITS.get(currency, 2)),
                f"order {number}, line {line}",
            )
            for line in range(1, dice.randrange(2, 14))
        )
        buyer = f"buyer-{dice.randrange(1, 500)}@example.com"
        yield Draft(str(number), buyer, currency, lines, {"run": run, "number": str(number)})


def invoices(path: Path, run: str) -> list[Draft]:
    """Return one order per invoice of a CSV, lines in file order.

    Raises:
        BadFileError: the file cannot be read, lacks a column or has no invoices.
    """
    groups: dict[str, list[Line]] = {}
    customers: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # Excel begins its files with a byte order mark
            reader = csv.DictReader(file)
            _check_columns(path, reader.fieldnames or ())
            for number, row in enumerate(reader, start=2):
                invoice, stock_code, quantity, unit_price, customer_id = (row[name] or "" for name in COLUMNS)
                line = Line(stock_code, _quantity(quantity), unit_price, f"{path.name}:{number}")
                groups.setdefault(invoice, []).append(line)
                customers.setdefault(invoice, customer_id or f"guest-{invoice}")
    except OSError as error:
        raise BadFileError(f"{path} cannot be read: {error.strerror}") from error
    except csv.Error as error:
        raise BadFileError(f"{path} is not CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise BadFileError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    if not groups:
        raise BadFileError(f"{path} has no invoices: nothing follows its line of columns")
    return [
        Draft(
            invoice, f"customer-{customers[invoice]}@example.com", "GBP", tuple(lines), {"run": run, "invoice": invoice}
        )
        for invoice, lines in groups.items()
    ]


def _check_columns(path: Path, found: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in found]
    if not missing:
        return
    needed = f"needed: {', '.join(COLUMNS)}"
    for separator, name in _OTHER_SEPARATORS.items():
        if set(COLUMNS) <= set("".join(found[:1]).split(separator)):
            raise BadFileError(f"{path}: the columns are separated by {name}; separate them by commas")
    raise BadFileError(f"{path}: no column {', '.join(missing)}; {needed}" if found else f"{path} is empty; {needed}")


def _quantity(text: str) -> int | str:
    return int(text) if _WHOLE.fullmatch(text) else text


def _price(minor: int, digits: int) -> str:
    whole, rest = divmod(minor, 10**digits)
    return f"{whole}.{rest:0{digits}}" if digits else str(minor)
