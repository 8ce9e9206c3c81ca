"""The parts of events: lines, totals and personal data, and the types and bounds of their members."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from domain.money import MAX_AMOUNT_MINOR
from domain.text import (
    MAX_BATCH_CHARS,
    MAX_EMAIL_CHARS,
    MAX_EXTERNAL_REFERENCE_CHARS,
    MAX_METADATA_ENTRIES,
    MAX_METADATA_KEY_CHARS,
    MAX_METADATA_VALUE_CHARS,
    MAX_NOTE_CHARS,
    MAX_REASON_CHARS,
    MAX_SKU_CHARS,
)

MAX_LINES = 1_000
MAX_QUANTITY = 999
MAX_CHANGES = 1_000
"""Changes of one amendment."""
MAX_LINE_ID = 2**31 - 1
"""Ids of removed lines are not reused, so an order that is amended often has higher ids than lines."""

Minor = Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)]
PositiveMinor = Annotated[int, Field(gt=0, le=MAX_AMOUNT_MINOR)]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
ExternalReference = Annotated[str, Field(min_length=1, max_length=MAX_EXTERNAL_REFERENCE_CHARS)]
Sku = Annotated[str, Field(min_length=1, max_length=MAX_SKU_CHARS)]
Quantity = Annotated[int, Field(ge=1, le=MAX_QUANTITY)]
LineId = Annotated[int, Field(ge=1, le=MAX_LINE_ID)]
Reason = Annotated[str, Field(min_length=1, max_length=MAX_REASON_CHARS)]
Batch = Annotated[str, Field(min_length=1, max_length=MAX_BATCH_CHARS)]
Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=MAX_METADATA_KEY_CHARS)],
        Annotated[str, Field(max_length=MAX_METADATA_VALUE_CHARS)],
    ],
    Field(max_length=MAX_METADATA_ENTRIES),
]


class EventPart:
    """Base of every part of a stored event: closed, and strictly typed when it is read from outside.

    Parts are plain frozen dataclasses. `decide` makes them from values it has checked, so making one checks nothing;
    `domain.codec` checks every stored byte against the types and bounds declared here.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)


class EventData(EventPart):
    """Base of the `data` of every event."""

    type: ClassVar[str]
    schema_version: ClassVar[int]


@dataclass(frozen=True, kw_only=True)
class EventLine(EventPart):
    """One line as ordered; `total_minor` = quantity x unit_price_minor."""

    line_id: Annotated[int, Field(ge=1, le=MAX_LINES)]
    sku: Sku
    quantity: Quantity
    unit_price_minor: PositiveMinor
    total_minor: PositiveMinor


@dataclass(frozen=True, kw_only=True)
class AmendedLine(EventPart):
    """One line after an amendment; it keeps its id, and a removed line's id is not reused."""

    line_id: LineId
    sku: Sku
    quantity: Quantity
    unit_price_minor: PositiveMinor
    total_minor: PositiveMinor


@dataclass(frozen=True, kw_only=True)
class LineChange(EventPart):
    """One change of an amendment; members that it does not touch are null."""

    op: Literal["add", "remove", "set_quantity", "set_price"]
    line_id: LineId
    quantity: Quantity | None
    unit_price_minor: PositiveMinor | None


@dataclass(frozen=True, kw_only=True)
class CapturedLine(EventPart):
    """How much of one line was captured."""

    line_id: LineId
    quantity: Quantity


@dataclass(frozen=True)
class Totals(EventPart):
    """The ledger after the event, minor units."""

    total_minor: Minor
    authorized_minor: Minor
    captured_minor: Minor
    released_minor: Minor
    refunded_minor: Minor
    settled_minor: Minor


@dataclass(frozen=True, kw_only=True)
class ClearPersonal(EventPart):
    """Personal data in clear text."""

    scheme: Literal["clear"]
    customer_email: Annotated[str, Field(min_length=1, max_length=MAX_EMAIL_CHARS)]


@dataclass(frozen=True, kw_only=True)
class SealedPersonal(EventPart):
    """Personal data encrypted with the data key `key_id`; without that key it cannot be read again."""

    scheme: Literal["sealed"]
    key_id: Annotated[str, Field(min_length=1, max_length=128)]
    ciphertext: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=4_096)]


@dataclass(frozen=True, kw_only=True)
class ClearNote(EventPart):
    """A note in clear text."""

    scheme: Literal["clear"]
    note: Annotated[str, Field(min_length=1, max_length=MAX_NOTE_CHARS)]


Personal = Annotated[ClearPersonal | SealedPersonal, Field(discriminator="scheme")]
PersonalNote = Annotated[ClearNote | SealedPersonal, Field(discriminator="scheme")]
