"""What may be changed in the lines of an order: one change each, several done together or not at all."""

from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

from harbor_orders_client.documents.new_orders import Money, amount_text


@dataclass(frozen=True, slots=True)
class AddLine:
    """Add a line; it gets an id that no line of the order ever had."""

    sku: str
    quantity: int
    unit_price: Money


@dataclass(frozen=True, slots=True)
class RemoveLine:
    """Take a line away; at least one stays."""

    line_id: int


@dataclass(frozen=True, slots=True)
class SetQuantity:
    """Order more or less of a line."""

    line_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class SetPrice:
    """Change the unit price of a line."""

    line_id: int
    unit_price: Money


LineChange: TypeAlias = AddLine | RemoveLine | SetQuantity | SetPrice


@dataclass(frozen=True, slots=True)
class LineShare:
    """How much of one line is captured."""

    line_id: int
    quantity: int


def document_of(change: LineChange) -> dict[str, Any]:
    """Return a change as the API takes it."""
    match change:
        case AddLine(sku, quantity, unit_price):
            return {"op": "add", "sku": sku, "quantity": quantity, "unit_price": amount_text(unit_price)}
        case RemoveLine(line_id):
            return {"op": "remove", "line_id": line_id}
        case SetQuantity(line_id, quantity):
            return {"op": "set_quantity", "line_id": line_id, "quantity": quantity}
        case SetPrice(line_id, unit_price):
            return {"op": "set_price", "line_id": line_id, "unit_price": amount_text(unit_price)}
        case _:
            assert_never(change)
