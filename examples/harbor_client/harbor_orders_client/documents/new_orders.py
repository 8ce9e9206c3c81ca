"""What goes in: new orders, their lines and their money."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeAlias
from uuid import uuid4

Money: TypeAlias = Decimal | str
"""An amount in the currency's own precision: `Decimal("19.99")` or `"19.99"`. A float is refused."""

_MOST_DIGITS: Final = 20
KEY: Final = re.compile(r'[!#-~]{1,255}|"[!#-~]{1,255}"')


@dataclass(frozen=True, slots=True)
class NewLine:
    """One line asked for: quantity 1 to 999, a price in the order's currency."""

    sku: str
    quantity: int
    unit_price: Money


def new_key() -> str:
    """Return a new idempotency key."""
    return uuid4().hex


def checked_key(key: object) -> str:
    """Return an idempotency key that the API takes.

    Raises:
        ValueError: it is not 1 to 255 visible ASCII characters; a blank or a line end is none.
    """
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise ValueError(f"an idempotency_key is 1 to 255 visible ASCII characters, without blanks: {key!r}")
    return key


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to be created. It keeps its key: the same `NewOrder`, sent again, is never a second order.

    Attributes:
        customer_email: of the buyer.
        currency: ISO 4217, upper case.
        lines: 1 to 1,000.
        external_reference: your own number of it, unique among all your orders.
        metadata: your own pairs, kept and returned.
        idempotency_key: a new one when none is given; one that is none raises `ValueError`.
    """

    customer_email: str = field(repr=False)
    currency: str
    lines: Sequence[NewLine]
    external_reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str = field(default_factory=new_key)

    def __post_init__(self) -> None:
        checked_key(self.idempotency_key)

    def document(self) -> dict[str, Any]:
        """Return the body of its request.

        Raises:
            TypeError: an amount is neither Decimal nor str.
            ValueError: an amount is not finite or too long.
        """
        document: dict[str, Any] = {
            "customer_email": self.customer_email,
            "currency": self.currency,
            "lines": [
                {"sku": line.sku, "quantity": line.quantity, "unit_price": amount_text(line.unit_price)}
                for line in self.lines
            ],
        }
        if self.external_reference is not None:
            document["external_reference"] = self.external_reference
        if self.metadata:
            document["metadata"] = dict(self.metadata)
        return document


def amount_text(amount: Money) -> str:
    """Return an amount as the API takes it; whether the currency has so many digits is for the service to say.

    Raises:
        TypeError: it is neither Decimal nor str: a float has lost its cents already.
        ValueError: a Decimal that is infinite, not a number, or of more digits than money has.
    """
    if isinstance(amount, str):
        return amount
    if not isinstance(amount, Decimal):
        raise TypeError(f"an amount is a Decimal or a str, not {type(amount).__name__}")
    if not amount.is_finite() or abs(amount.adjusted()) > _MOST_DIGITS:
        raise ValueError("an amount is a finite number of at most 20 digits")
    return format(amount, "f")


def encode(document: object) -> bytes:
    """Return a document as JSON.

    Raises:
        ValueError: it holds NaN or half of a surrogate pair.
    """
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
