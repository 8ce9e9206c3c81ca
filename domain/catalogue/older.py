"""Older schema versions of events that are still in the log and on the topic.

Only the catalogue needs their shapes: `domain.upcast` turns them into the current version before anything reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import Field

from domain.codec import EventVersion, event_version
from domain.instants import Instant
from domain.order.event_parts import (
    MAX_LINES,
    Batch,
    CapturedLine,
    CurrencyCode,
    EventData,
    Minor,
    PositiveMinor,
    Totals,
)
from domain.order.status import Status


class Version1:
    """First versions."""

    @dataclass(frozen=True, kw_only=True)
    class OrderAuthorized(EventData):
        """The whole total was authorized, until `auth_expires_at`."""

        type: ClassVar = "order.authorized"
        schema_version: ClassVar = 1

        currency: CurrencyCode
        amount_minor: PositiveMinor
        auth_expires_at: Instant
        from_status: Status
        to_status: Status
        totals: Totals

    @dataclass(frozen=True, kw_only=True)
    class OrderCaptured(EventData):
        """An authorized amount was captured; `final` says that no further capture follows."""

        type: ClassVar = "order.captured"
        schema_version: ClassVar = 1

        currency: CurrencyCode
        amount_minor: PositiveMinor
        final: bool
        from_status: Status
        to_status: Status
        totals: Totals

    @dataclass(frozen=True, kw_only=True)
    class OrderSettlementRecorded(EventData):
        """`gross_minor` of the captured amount was paid out: `fee_minor` was kept and `net_minor` arrived."""

        type: ClassVar = "order.settlement_recorded"
        schema_version: ClassVar = 1

        currency: CurrencyCode
        gross_minor: PositiveMinor
        fee_minor: Minor
        net_minor: Minor
        value_date: date
        batch: Batch | None
        from_status: Status
        to_status: Status
        totals: Totals


class Version2:
    """Second versions."""

    @dataclass(frozen=True, kw_only=True)
    class OrderCaptured(EventData):
        """An authorized amount was captured; `final` says that no further capture follows.

        `lines` says how much of which lines it pays for; it is empty for a capture by amount.
        """

        type: ClassVar = "order.captured"
        schema_version: ClassVar = 2

        currency: CurrencyCode
        amount_minor: PositiveMinor
        final: bool
        lines: Annotated[tuple[CapturedLine, ...], Field(max_length=MAX_LINES)]
        from_status: Status
        to_status: Status
        totals: Totals


OLDER: Mapping[str, tuple[EventVersion, ...]] = MappingProxyType(
    {
        "order.authorized": (event_version(Version1.OrderAuthorized),),
        "order.captured": (event_version(Version1.OrderCaptured), event_version(Version2.OrderCaptured)),
        "order.settlement_recorded": (event_version(Version1.OrderSettlementRecorded),),
    }
)
"""Type name -> its versions before the current one, oldest first."""
