"""The request and the response of the peers, as any FastAPI application would declare them."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

Price = Annotated[Decimal, Field(ge=0, decimal_places=2)]


class LineIn(BaseModel):
    """One line asked for."""

    sku: str = Field(min_length=1, max_length=64)
    quantity: int = Field(ge=1, le=1_000_000)
    unit_price: Price


class OrderIn(BaseModel):
    """A new order."""

    customer_email: str = Field(min_length=3, max_length=254)
    currency: str = Field(pattern="^[A-Z]{3}$")
    lines: list[LineIn] = Field(min_length=1, max_length=100)
    metadata: dict[str, str] = {}

    @property
    def total_minor(self) -> int:
        """The sum of the lines in cents."""
        return sum(minor(line.unit_price) * line.quantity for line in self.lines)


class LineOut(BaseModel):
    """One line of an order."""

    line_id: int
    sku: str
    quantity: int
    unit_price_minor: int


class OrderOut(BaseModel):
    """An order."""

    id: UUID
    status: str
    currency: str
    customer_email: str
    total_minor: int
    lines: list[LineOut]
    metadata: dict[str, str]


def minor(amount: Decimal) -> int:
    """Return cents."""
    return int(amount * 100)
