"""Events: what happened to an order, past tense, frozen. Each tells a consumer all it needs without another read.

These are the current schema versions of the `data` member. A stored older version is upcast by `domain.codec` before
it becomes one of these. Personal data stands alone in `personal`, a union by `scheme`, so that it can be encrypted
without a new event version (decision 0031).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from domain.instants import Instant
from domain.money import MAX_AMOUNT_MINOR
from domain.order.status import Status
from domain.text import (
    MAX_EMAIL_CHARS,
    MAX_EXTERNAL_REFERENCE_CHARS,
    MAX_METADATA_ENTRIES,
    MAX_METADATA_KEY_CHARS,
    MAX_METADATA_VALUE_CHARS,
    MAX_REASON_CHARS,
    MAX_SKU_CHARS,
)

MAX_LINES = 1_000
MAX_QUANTITY = 999

Minor = Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)]
PositiveMinor = Annotated[int, Field(gt=0, le=MAX_AMOUNT_MINOR)]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Reason = Annotated[str, Field(min_length=1, max_length=MAX_REASON_CHARS)]
Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=MAX_METADATA_KEY_CHARS)],
        Annotated[str, Field(max_length=MAX_METADATA_VALUE_CHARS)],
    ],
    Field(max_length=MAX_METADATA_ENTRIES),
]


class Document:
    """What every part of a stored event is: closed and strictly typed wherever it is read from outside.

    Parts are plain frozen dataclasses. `decide` makes them from values it has checked, so nothing is checked again
    when they are made; `domain.codec` holds every stored byte to the types and bounds declared here.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, kw_only=True)
class OrderLine(Document):
    """One line as ordered; `total_minor` = quantity x unit_price_minor."""

    line_id: Annotated[int, Field(ge=1, le=MAX_LINES)]
    sku: Annotated[str, Field(min_length=1, max_length=MAX_SKU_CHARS)]
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)]
    unit_price_minor: PositiveMinor
    total_minor: PositiveMinor


@dataclass(frozen=True, kw_only=True)
class Totals(Document):
    """The ledger after the event, minor units."""

    total_minor: Minor
    authorized_minor: Minor
    captured_minor: Minor
    released_minor: Minor
    refunded_minor: Minor
    settled_minor: Minor


@dataclass(frozen=True, kw_only=True)
class ClearPersonal(Document):
    """Personal data as it was given."""

    scheme: Literal["clear"]
    customer_email: Annotated[str, Field(min_length=1, max_length=MAX_EMAIL_CHARS)]


@dataclass(frozen=True, kw_only=True)
class SealedPersonal(Document):
    """Personal data encrypted with the data key `key_id`; without that key it is gone for good."""

    scheme: Literal["sealed"]
    key_id: Annotated[str, Field(min_length=1, max_length=128)]
    ciphertext: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=4_096)]


Personal = Annotated[ClearPersonal | SealedPersonal, Field(discriminator="scheme")]


@dataclass(frozen=True, kw_only=True)
class OrderCreated(Document):
    """A partner placed an order; unless authorized it expires at `expires_at`."""

    type: ClassVar = "order.created"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=MAX_LINES)]
    external_reference: Annotated[str, Field(min_length=1, max_length=MAX_EXTERNAL_REFERENCE_CHARS)] | None
    metadata: Metadata
    expires_at: Instant
    personal: Personal
    from_status: None
    to_status: Literal[Status.PENDING]
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderAuthorized(Document):
    """The whole total was reserved, until `auth_expires_at`."""

    type: ClassVar = "order.authorized"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    amount_minor: PositiveMinor
    auth_expires_at: Instant
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderCaptured(Document):
    """An authorized amount was taken; `final` says that no further capture follows."""

    type: ClassVar = "order.captured"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    amount_minor: PositiveMinor
    final: bool
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderCanceled(Document):
    """The order was given up before anything was captured; `released_minor` was authorized and is free again."""

    type: ClassVar = "order.canceled"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    reason: Reason | None
    released_minor: Minor
    from_status: Status
    to_status: Status
    totals: Totals


OrderEvent = OrderCreated | OrderAuthorized | OrderCaptured | OrderCanceled
EVENT_TYPES: tuple[type[OrderEvent], ...] = (OrderCreated, OrderAuthorized, OrderCaptured, OrderCanceled)
"""Every event, in the order of an order's life."""
