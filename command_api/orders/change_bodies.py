"""Bodies of requests that edit an order: its lines, its details, notes on it. They become commands as in `bodies`."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi.openapi.models import Example
from pydantic import Field

from command_api.handling.bodies import NO_ORDER, also_broken, described, field_error, value_errors_of, with_example
from command_api.orders.bodies import Amount, LineId, Quantity, Reason
from domain import text
from domain.order.commands import (
    AddLine,
    AddNote,
    AmendLines,
    LineAmendment,
    RemoveLine,
    SetPrice,
    SetQuantity,
    UpdateDetails,
)
from domain.order.event_parts import MAX_CHANGES
from domain.order.ids import OrderId
from infra.http.problems import FieldError
from infra.http.validation import RequestBody

_VISIBILITIES: dict[str, Literal["internal", "partner"]] = {"internal": "internal", "partner": "partner"}


class AddLineBody(RequestBody):
    """Add a line; it gets an id that no line of the order ever had."""

    op: Literal["add"]
    sku: str = Field(json_schema_extra=described(1, text.MAX_SKU_CHARS), examples=["85123A"])
    quantity: Quantity
    unit_price: Amount

    def command(self) -> AddLine:
        """Return the change."""
        return AddLine(self.sku, self.quantity, self.unit_price)


class RemoveLineBody(RequestBody):
    """Remove a line; at least one stays."""

    op: Literal["remove"]
    line_id: LineId

    def command(self) -> RemoveLine:
        """Return the change."""
        return RemoveLine(self.line_id)


class SetQuantityBody(RequestBody):
    """Order more or less of a line."""

    op: Literal["set_quantity"]
    line_id: LineId
    quantity: Quantity

    def command(self) -> SetQuantity:
        """Return the change."""
        return SetQuantity(self.line_id, self.quantity)


class SetPriceBody(RequestBody):
    """Change the unit price of a line."""

    op: Literal["set_price"]
    line_id: LineId
    unit_price: Amount

    def command(self) -> SetPrice:
        """Return the change."""
        return SetPrice(self.line_id, self.unit_price)


Change = Annotated[AddLineBody | RemoveLineBody | SetQuantityBody | SetPriceBody, Field(discriminator="op")]


class AmendmentBody(RequestBody):
    """Changes of lines, all done in their order or none."""

    # The bound on the list is a real one, as on the lines of a new order.
    changes: list[Change] = Field(min_length=1, max_length=MAX_CHANGES)
    reason: Reason | None = Field(
        default=None, description="kept on the event that this causes; changes that change nothing cause none"
    )

    def value_errors(self, _broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the values, but for what depends on the order and its currency."""
        return value_errors_of(partial(amend_lines, self, NO_ORDER))


DETAILS: Final[dict[str, Any]] = {"customer_email": "purchasing@example.com", "metadata": {"channel": "phone"}}


class DetailsBody(RequestBody):
    """What to change; what is left out stays. `metadata` replaces all pairs."""

    model_config = with_example(DETAILS)
    about_names = frozenset({"metadata_key"})

    customer_email: str = Field(
        default_factory=str,
        description="only while the order is pending",
        json_schema_extra=described(3, text.MAX_EMAIL_CHARS),
        examples=["purchasing@example.com"],
    )
    external_reference: str = Field(
        default_factory=str,
        description="your own number of the order, if it has none yet; unique among your orders forever",
        json_schema_extra=described(1, text.MAX_EXTERNAL_REFERENCE_CHARS),
        examples=["PO-2026-0042"],
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description="your own pairs, all of them; kept and returned, never read; a value may be empty",
        json_schema_extra={"maxProperties": text.MAX_METADATA_ENTRIES},
        examples=[{"channel": "phone"}],
    )

    def value_errors(self, _broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the values."""
        return value_errors_of(partial(update_details, self, NO_ORDER))


class NoteBody(RequestBody):
    """A note on an order."""

    note: str = Field(json_schema_extra=described(1, text.MAX_NOTE_CHARS), examples=["call before delivery"])
    visibility: str = Field(
        default="partner",
        description="partner: for everybody who sees the order; internal: for your own keys alone",
        json_schema_extra={"enum": list(_VISIBILITIES)},
        examples=["partner"],
    )

    def value_errors(self, _broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the values."""
        return value_errors_of(partial(add_note, self, NO_ORDER))


AMENDMENTS: Final = {
    "new list": Example(
        summary="one more line, another quantity",
        value={
            "changes": [
                {"op": "add", "sku": "85123A", "quantity": 2, "unit_price": "19.99"},
                {"op": "set_quantity", "line_id": 1, "quantity": 5},
            ],
            "reason": "two more lanterns",
        },
    ),
    "fewer": Example(summary="one line less", value={"changes": [{"op": "remove", "line_id": 2}]}),
    "cheaper": Example(
        summary="another price", value={"changes": [{"op": "set_price", "line_id": 1, "unit_price": "17.50"}]}
    ),
}


def amend_lines(body: AmendmentBody, order_id: OrderId, now: datetime) -> AmendLines:
    """Return the command that a body asks for."""
    changes: tuple[LineAmendment, ...] = tuple(change.command() for change in body.changes)
    return AmendLines(order_id, changes, body.reason, now)


def update_details(body: DetailsBody, order_id: OrderId, now: datetime) -> UpdateDetails:
    """Return the command that a body asks for: only what the body names is asked for."""
    named = body.model_fields_set
    return UpdateDetails(
        order_id,
        body.customer_email if "customer_email" in named else None,
        body.external_reference if "external_reference" in named else None,
        body.metadata if "metadata" in named else None,
        now,
    )


def add_note(body: NoteBody, order_id: OrderId, now: datetime) -> AddNote:
    """Return the command that a body asks for.

    Raises:
        Problem: 422, there is no such visibility; with the rules that the note breaks.
    """
    visibility = _VISIBILITIES.get(body.visibility)
    if visibility is None:
        found = [field_error("/visibility", "visibility_unknown")]
        raise also_broken(found, AddNote(order_id, body.note, "internal", now))
    return AddNote(order_id, body.note, visibility, now)
