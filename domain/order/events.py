"""Events: what happened to an order, in the past tense. Each holds all that a consumer needs, without another read.

These are the current schema versions of the `data` member; `domain.codec` upcasts older ones to these. Personal data
has its own member `personal`, a union by `scheme`, so that it can be encrypted without a new event version (decision
0031).
"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from domain.instants import Instant
from domain.order.event_parts import (
    MAX_CHANGES,
    MAX_LINES,
    AmendedLine,
    Batch,
    CapturedLine,
    CurrencyCode,
    EventData,
    EventLine,
    ExternalReference,
    LineChange,
    Metadata,
    Minor,
    Personal,
    PersonalNote,
    PositiveMinor,
    Reason,
    Totals,
)
from domain.order.status import Status


@dataclass(frozen=True, kw_only=True)
class OrderCreated(EventData):
    """A partner placed an order; it expires at `expires_at` unless it is authorized."""

    type: ClassVar = "order.created"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    lines: Annotated[tuple[EventLine, ...], Field(min_length=1, max_length=MAX_LINES)]
    external_reference: ExternalReference | None
    metadata: Metadata
    expires_at: Instant
    personal: Personal
    from_status: None
    to_status: Literal[Status.PENDING]
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderAmended(EventData):
    """Lines were changed before the order was authorized: `lines` are all lines afterwards, `changes` what was done."""

    type: ClassVar = "order.amended"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    lines: Annotated[tuple[AmendedLine, ...], Field(min_length=1, max_length=MAX_LINES)]
    changes: Annotated[tuple[LineChange, ...], Field(min_length=1, max_length=MAX_CHANGES)]
    reason: Reason | None
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderDetailsChanged(EventData):
    """Details other than lines and amounts were changed; `changed` names them, the members hold them as they are now.

    `personal` is null unless the address was changed.
    """

    type: ClassVar = "order.details_changed"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    changed: Annotated[
        tuple[Literal["customer_email", "external_reference", "metadata"], ...], Field(min_length=1, max_length=3)
    ]
    external_reference: ExternalReference | None
    metadata: Metadata
    personal: Personal | None
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderNoteAdded(EventData):
    """A note was added to the order; nothing else changed."""

    type: ClassVar = "order.note_added"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    visibility: Literal["internal", "partner"]
    personal: PersonalNote
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderAuthorized(EventData):
    """The whole total was authorized, until `auth_expires_at`."""

    type: ClassVar = "order.authorized"
    schema_version: ClassVar = 2

    currency: CurrencyCode
    amount_minor: PositiveMinor
    auth_expires_at: Instant
    reason: Reason | None
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderCaptured(EventData):
    """An authorized amount was captured; `final` says that no further capture follows.

    `lines` says how much of which lines it pays for; it is empty for a capture by amount.
    """

    type: ClassVar = "order.captured"
    schema_version: ClassVar = 3

    currency: CurrencyCode
    amount_minor: PositiveMinor
    final: bool
    lines: Annotated[tuple[CapturedLine, ...], Field(max_length=MAX_LINES)]
    reason: Reason | None
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderAuthorizationReleased(EventData):
    """After a capture, what was authorized and not captured was released; `cause` says by what."""

    type: ClassVar = "order.authorization_released"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    released_minor: PositiveMinor
    cause: Literal["final_capture", "voided", "expired"]
    reason: Reason | None
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderCanceled(EventData):
    """The order was canceled before anything was captured; `released_minor` of its authorization was released."""

    type: ClassVar = "order.canceled"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    reason: Reason | None
    released_minor: Minor
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderExpired(EventData):
    """The order's time ran out before anything was captured; `released_minor` of its authorization was released."""

    type: ClassVar = "order.expired"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    due_at: Instant
    released_minor: Minor
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderRefunded(EventData):
    """A captured amount was refunded."""

    type: ClassVar = "order.refunded"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    amount_minor: PositiveMinor
    reason: Reason | None
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderSettlementRecorded(EventData):
    """`gross_minor` of the captured amount was paid out: `fee_minor` was kept and `net_minor` arrived."""

    type: ClassVar = "order.settlement_recorded"
    schema_version: ClassVar = 2

    currency: CurrencyCode
    gross_minor: PositiveMinor
    fee_minor: Minor
    net_minor: Minor
    value_date: date
    batch: Batch | None
    reason: Reason | None
    from_status: Status
    to_status: Status
    totals: Totals


@dataclass(frozen=True, kw_only=True)
class OrderSettled(EventData):
    """All that was captured is paid out, and nothing more can be captured; follows the event that completed this."""

    type: ClassVar = "order.settled"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    amount_minor: PositiveMinor
    from_status: Status
    to_status: Status
    totals: Totals


OrderEvent = (
    OrderCreated
    | OrderAmended
    | OrderDetailsChanged
    | OrderNoteAdded
    | OrderAuthorized
    | OrderCaptured
    | OrderAuthorizationReleased
    | OrderCanceled
    | OrderExpired
    | OrderRefunded
    | OrderSettlementRecorded
    | OrderSettled
)
EVENT_TYPES: tuple[type[OrderEvent], ...] = get_args(OrderEvent)
"""Every event, in the order of an order's life."""
